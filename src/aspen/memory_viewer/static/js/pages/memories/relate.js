// Relate a memory to another one, which is found by its words.

import { html, useState } from "../../../vendor/view.js";
import { get, part, post, remove } from "../../api.js";
import { cut, fixed, words } from "../../format.js";
import { tell, Trouble } from "../../parts/feedback.js";
import { Choice, Slider, Text, Tick, Window } from "../../parts/fields.js";
import { useAction, useLoaded, useRested } from "../../parts/hooks.js";
import { RELATIONS, TypeMark } from "../../parts/marks.js";
import { relationKey } from "../../parts/relations.js";

const FOUND = 6;

export function Relate({ memory, onClose, onDone }) {
  const [text, setText] = useState("");
  const [other, setOther] = useState(null);
  const [how, setHow] = useState({ type: "supports", weight: 0.8, both: false });
  const wanted = useRested(text.trim(), 200);
  const found = useLoaded(
    async (signal) => (wanted ? get("/memories", { text: wanted, limit: FOUND + 1 }, { signal }) : { items: [] }),
    [wanted],
  );
  const set = (name) => (value) => setHow((before) => ({ ...before, [name]: value }));
  const save = useAction(async () => {
    const one = { source: memory.id, target: other.id, type: how.type, weight: how.weight };
    const items = how.both ? [one, { ...one, source: other.id, target: memory.id }] : [one];
    const { items: there } = await get(`/memories/${part(memory.id)}/relations`);
    await post("/relations", { items });
    const known = new Set(there.map(relationKey));
    const changed = items.some((made) => known.has(relationKey(made)));
    const undo = async () => {
      for (const { source, target, type } of items) await remove("/relations", { source, target, type });
      onDone();
    };
    tell(changed ? "The relation has its new weight." : "Related.", changed ? {} : { undo });
    onDone();
  });
  const matches = (found.value?.items ?? []).filter(({ id }) => id !== memory.id).slice(0, FOUND);
  const submit = (event) => {
    event.preventDefault();
    if (other) save.run();
  };
  return html`<${Window} title="Relate" onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <p class="small soft" dir="auto">${cut(memory.text, 140)}</p>
      <${Choice} label="This memory" value=${how.type} options=${RELATIONS.map((type) => [type, words(type)])}
        onChange=${set("type")} />
      ${other
        ? html`<p class="row"><${TypeMark} type=${other.type} bare />
            <span class="grow" dir="auto">${cut(other.text, 140)}</span>
            <button type="button" class="quiet" onClick=${() => setOther(null)}>Another one</button></p>`
        : html`<${Text} label="which memory" hint="words in it" type="search" value=${text} onInput=${setText} />
            <ul>${matches.map((one) => html`<li key=${one.id}>
              <button type="button" class="link" onClick=${() => setOther(one)}><${TypeMark} type=${one.type} bare />
                <span dir="auto">${cut(one.text, 120)}</span></button></li>`)}</ul>
            ${wanted && found.value && !found.busy && !matches.length
              ? html`<p class="small soft">No other memory has these words.</p>`
              : null}`}
      <${Slider} label="Weight" value=${how.weight} min="0.05" max="1" step="0.05" shown=${fixed(how.weight)}
        onInput=${set("weight")} />
      <${Tick} label="Both ways" hint="activation flows along a relation, not back" checked=${how.both}
        onChange=${set("both")} />
      <${Trouble} problem=${save.problem ?? found.problem} />
      <div class="row end"><button type="button" class="quiet" onClick=${onClose}>Leave it</button>
        <button disabled=${!other || save.busy}>Relate</button></div>
    </form>
  <//>`;
}
