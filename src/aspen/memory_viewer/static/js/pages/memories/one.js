// One memory: what it says, how it stands, what it stands between; and everything that can be done with it.

import { html, useState } from "../../../vendor/view.js";
import { get, part, patch, post, remove } from "../../api.js";
import { count, counted, cut, fixed, saidAt, time, words } from "../../format.js";
import { Busy, tell, Trouble } from "../../parts/feedback.js";
import { Choice, Lines, Slider, Text, Window } from "../../parts/fields.js";
import { useAction, useLoaded } from "../../parts/hooks.js";
import { MADE, STABILITIES, TYPES, TypeMark } from "../../parts/marks.js";
import { AllWords, memoryAddress, MemoryLine, Priority } from "../../parts/memories.js";
import { address, go } from "../../router.js";
import { Relate } from "./relate.js";

const LISTED = 50; // relations; a memory that much leads to may have thousands

export function OneMemory({ id }) {
  const path = `/memories/${part(id)}`;
  const loaded = useLoaded(
    (signal) => Promise.all(["", "/relations", "/history", "/traces"].map((one) => get(path + one, {}, { signal }))).then(
      ([memory, relations, history, traces]) => ({ memory, relations: relations.items, history: history.items, traces: traces.items }),
    ),
    [id],
  );
  const { value } = loaded;
  return html`<div>
    <p class="small upwards"><a href="/memories">All memories</a></p>
    <h1 class="unseen">Memory</h1>
    <${Trouble} problem=${loaded.problem} again=${loaded.reload} />
    ${value ? html`<${Shown} key=${value.memory.version} ...${value} path=${path} reload=${loaded.reload} />` : loaded.problem ? null : html`<${Busy} />`}
  </div>`;
}

function Shown({ memory, relations, history, traces, path, reload }) {
  const [doing, setDoing] = useState(null);
  const close = () => setDoing(null);
  const done = () => {
    close();
    reload();
  };
  const pinned = memory.stability === "canonical" && memory.importance === 1;
  const pin = useAction(async () => {
    const before = { stability: memory.stability, importance: memory.importance };
    const after = await patch(path, pinned ? { stability: "stable", importance: 0.6 } : { stability: "canonical", importance: 1 }, memory);
    tell(pinned ? "No longer pinned." : "Pinned: canonical, and as important as can be.", { undo: () => patch(path, before, after).then(reload) });
    reload();
  });
  const restore = useAction(async () => {
    await post(`${path}/restore`);
    tell("It holds again.");
    reload();
  });
  return html`<div class="one-memory">
    <div class="stack">
      <div class="row"><${TypeMark} type=${memory.type} /><${Priority} value=${memory.priority} />${pinned ? html`<span class="small">Pinned</span>` : null}</div>
      <div class="memory-text"><${AllWords} text=${memory.text} /></div>
      ${memory.corrected_by
        ? html`<div class="notice"><p>It was corrected. <a href=${memoryAddress(memory.corrected_by)}>This holds now.</a></p>
            <button class="quiet" disabled=${restore.busy} onClick=${() => restore.run()}>Let this hold again</button></div>`
        : null}
      <${Trouble} problem=${pin.problem ?? restore.problem} again=${reload} />
      <div class="row" role="group" aria-label="What can be done with it">
        ${memory.corrected_by ? null : html`<button onClick=${() => setDoing("correct")}>Correct</button>`}
        <button class="quiet" onClick=${() => setDoing("edit")}>Edit</button>
        <button class="quiet" aria-pressed=${pinned} disabled=${pin.busy} onClick=${() => pin.run()}>${pinned ? "Unpin" : "Pin"}</button>
        <button class="quiet" onClick=${() => setDoing("relate")}>Relate</button>
        <a class="button quiet" href=${address("graph", [memory.id])}>Show in the graph</a>
        <button class="danger" onClick=${() => setDoing("forget")}>Forget</button>
      </div>
      <${Relations} memory=${memory} relations=${relations} reload=${reload} />
      ${history.length > 1
        ? html`<section aria-label="History"><h2>History</h2><ol class="lined">${history.map((version) => html`<li key=${version.id}>
            <p class="small soft">${time(saidAt(version))}${version.id === memory.id ? " · this one" : ""}${version.corrected_by ? "" : " · holds now"}</p>
            <${MemoryLine} memory=${version} /></li>`)}</ol></section>`
        : null}
    </div>
    <aside class="card" aria-label="About it">
      <dl class="facts one-column small">${factsOf(memory).map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd dir="auto">${value}</dd></div>`)}</dl>
      ${traces.length ? html`<h3 class="small">Traces it stands in</h3><ul class="small">${traces.slice(0, 10).map((trace) => html`<li key=${trace.id}><a href=${address("trace", [trace.id])} dir="auto">${cut(trace.said ?? trace.id, 60)}</a> <span class="soft">${time(trace.created_at)}</span></li>`)}</ul>` : null}
    </aside>
    ${doing === "edit" ? html`<${Edit} memory=${memory} path=${path} onClose=${close} onDone=${done} reload=${reload} />` : null}
    ${doing === "correct" ? html`<${Correct} memory=${memory} path=${path} onClose=${close} />` : null}
    ${doing === "relate" ? html`<${Relate} memory=${memory} onClose=${close} onDone=${done} />` : null}
    ${doing === "forget" ? html`<${Forget} memory=${memory} path=${path} before=${history.filter((version) => version.corrected_by === memory.id)} onClose=${close} />` : null}
  </div>`;
}

function factsOf(memory) {
  return [
    ["Said by", memory.speaker], ["Said", time(memory.said_at)], ["Stored", time(memory.created_at)],
    ["Conversation", memory.conversation && html`<a href=${address("conversation", [memory.conversation])}>${memory.conversation}</a>`],
    ["Where it comes from", memory.provenance], ["Source", memory.source], ["Stability", memory.stability],
    ["Importance", fixed(memory.importance)], ["Feeling", memory.emotion && `${memory.emotion.label}, ${fixed(memory.emotion.intensity)}`],
    ["Tags", memory.tags.join(", ")], ["Length", counted(memory.token_count, "token")],
    ["Used", memory.access_count ? `${count(memory.access_count)} times, last ${time(memory.accessed_at)}` : "never"],
    ["Edited", memory.version > 1 ? counted(memory.version - 1, "time") : ""], ["Id", html`<code>${memory.id}</code>`],
  ].filter(([, value]) => value);
}

function Relations({ memory, relations, reload }) {
  const [all, setAll] = useState(false);
  const gone = useAction(async (relation) => {
    const { source, target, type, weight, provenance } = relation;
    await remove("/relations", { source, target, type });
    tell("The relation is removed.", { undo: () => post("/relations", { items: [{ source, target, type, weight, provenance }] }).then(reload) });
    reload();
  });
  return html`<section aria-label="Relations"><h2>Relations</h2>
    <${Trouble} problem=${gone.problem} />
    ${relations.length
      ? html`<ul class="lined">${(all ? relations : relations.slice(0, LISTED)).map((relation) => {
          const from = relation.source === memory.id;
          return html`<li key=${`${relation.source} ${relation.type} ${relation.target}`} class="relation">
            <span class="small soft">${from ? `${words(relation.type)} →` : `← ${words(relation.type)}`} <br /><span class="number">weight ${fixed(relation.weight)}</span></span>
            <${MemoryLine} memory=${{ id: relation.other, type: relation.other_type, text: relation.other_text, provenance: "said", stability: "tentative" }} />
            ${MADE.includes(relation.type) ? html`<span></span>` : html`<button class="icon" aria-label="Remove this relation" title="Remove this relation" disabled=${gone.busy} onClick=${() => gone.run(relation)}>×</button>`}
          </li>`;
        })}</ul>
        ${all || relations.length <= LISTED ? null : html`<button class="quiet" onClick=${() => setAll(true)}>Show all ${count(relations.length)} relations</button>`}`
      : html`<p class="soft">Nothing leads from it or to it. Relate it to another memory, so that activation passes between them.</p>`}
  </section>`;
}

function Edit({ memory, path, onClose, onDone, reload }) {
  const [base, setBase] = useState(memory); // the version that is edited
  const [now, setNow] = useState({
    type: memory.type, stability: memory.stability, importance: memory.importance, tags: memory.tags.join(", "),
    label: memory.emotion?.label ?? "", intensity: memory.emotion?.intensity ?? 0.5,
  });
  const set = (name) => (value) => setNow((before) => ({ ...before, [name]: value }));
  const tags = (text) => [...new Set(text.split(",").map((tag) => tag.trim()).filter(Boolean))];
  const save = useAction(async () => {
    const { type, stability, importance, emotion } = base;
    const before = { type, stability, importance, tags: base.tags, emotion };
    const felt = now.label.trim() ? { label: now.label.trim(), intensity: now.intensity } : null;
    // A tag may hold a comma itself: those that nobody touched stay as they are.
    const tagged = now.tags === memory.tags.join(", ") ? {} : { tags: tags(now.tags) };
    const wanted = { type: now.type, stability: now.stability, importance: now.importance, emotion: felt, ...tagged };
    const after = await patch(path, wanted, base);
    tell("Saved.", { undo: () => patch(path, before, after).then(reload) });
    onDone();
  });
  const goOn = async () => {
    setBase(await get(path));
    save.clear();
  };
  const stale = save.problem?.status === 412;
  return html`<${Window} title="Edit" onClose=${onClose}>
    <form class="stack" onSubmit=${(event) => { event.preventDefault(); save.run(); }}>
      <p class="small soft">What it says is changed by a correction, so that the old words stay known.</p>
      <div class="settings">
        <${Choice} label="Type" value=${now.type} options=${Object.entries(TYPES).map(([key, { word, meaning }]) => [key, `${word}: ${meaning}`])} onChange=${set("type")} />
        <${Choice} label="Stability" value=${now.stability} options=${STABILITIES} onChange=${set("stability")} />
        <${Slider} label="Importance" value=${now.importance} min="0" max="1" step="0.05" shown=${fixed(now.importance)} onInput=${set("importance")} />
        <${Text} label="Tags" hint="with commas between" value=${now.tags} onInput=${set("tags")} />
        <${Text} label="Feeling" hint="a word, or nothing" value=${now.label} onInput=${set("label")} />
        <${Slider} label="How strong" value=${now.intensity} min="0" max="1" step="0.05" shown=${fixed(now.intensity)} onInput=${set("intensity")} />
      </div>
      <${Trouble} problem=${save.problem} again=${stale ? goOn : undefined} word="Keep what stands here, and save it over that" />
      <div class="row end"><button type="button" class="quiet" onClick=${onClose}>Leave it</button><button disabled=${save.busy}>Save</button></div>
    </form>
  <//>`;
}

function Correct({ memory, path, onClose }) {
  const [text, setText] = useState(memory.text);
  const save = useAction(async () => {
    const newer = await post(`${path}/correct`, { text: text.trim() });
    tell("Corrected. The old words stay in its history.", { undo: async () => { await post(`${path}/restore`); go(memoryAddress(memory.id)); } });
    onClose();
    go(memoryAddress(newer.id));
  });
  return html`<${Window} title="Correct" onClose=${onClose}>
    <form class="stack" onSubmit=${(event) => { event.preventDefault(); save.run(); }}>
      <p class="small soft">The new words take its place in every recall. The old ones stay as its history.</p>
      <${Lines} label="What holds instead" rows="3" value=${text} onInput=${setText} />
      <${Trouble} problem=${save.problem} />
      <div class="row end"><button type="button" class="quiet" onClick=${onClose}>Leave it</button><button disabled=${save.busy || !text.trim() || text.trim() === memory.text}>Correct</button></div>
    </form>
  <//>`;
}

/** `before` are the versions that it corrected: they hold again once it is gone. */
function Forget({ memory, path, before, onClose }) {
  const going = useLoaded((signal) => get(`${path}/forgetting`, {}, { signal }), [memory.id]);
  const forget = useAction(async () => {
    const { forgotten } = await remove(path);
    tell(`Forgotten: ${counted(forgotten.memories, "memory", "memories")}, ${counted(forgotten.traces, "trace")}.`);
    go("/memories", { replace: true });
  });
  const told = going.value;
  const goes = told
    ? [
        [told.traces.length, `${counted(told.traces.length, "trace")} of replies in which it stood`],
        [told.summaries.length, `${counted(told.summaries.length, "pattern")} made of it`],
        [told.relations, `${counted(told.relations, "relation")} from it or to it`],
      ].flatMap(([many, words]) => (many ? [words] : []))
    : [];
  return html`<${Window} title="Forget for good" onClose=${onClose}>
    <div class="stack">
      <blockquote><${AllWords} text=${memory.text} /></blockquote>
      <${Trouble} problem=${going.problem ?? forget.problem} />
      ${told
        ? html`${goes.length ? html`<p>With it go:</p><ul class="going">${goes.map((one) => html`<li key=${one}>${one}</li>`)}</ul>` : html`<p>Nothing else goes with it.</p>`}
            ${before.length
              ? html`<p>What it corrected holds again, and is to be forgotten by itself:</p>
                <ul class="going">${before.map((version) => html`<li key=${version.id} dir="auto">${cut(version.text, 120)}</li>`)}</ul>`
              : null}
            <p><strong>This cannot be undone.</strong> It is deleted and overwritten. To change what it says, correct it instead.</p>`
        : going.problem ? null : html`<${Busy} what="Looking what goes with it" />`}
      <div class="row end"><button class="quiet" onClick=${onClose}>Keep it</button><button class="danger" disabled=${!told || forget.busy} onClick=${() => forget.run()}>Forget</button></div>
    </div>
  <//>`;
}
