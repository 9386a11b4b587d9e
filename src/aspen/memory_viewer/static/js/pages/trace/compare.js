// Two traces beside each other, and what the second has more than the first where both have the same token.

import { html, useMemo } from "../../../vendor/view.js";
import { get, part, url } from "../../api.js";
import { cut, time } from "../../format.js";
import { Busy, Empty, Trouble } from "../../parts/feedback.js";
import { Choice, Switch } from "../../parts/fields.js";
import { useLoaded } from "../../parts/hooks.js";
import { HeatMap } from "./heat_map.js";
import { MEASURES } from "./measures.js";
import { layersByTokens } from "./shapes.js";

const COMPARED = ["norm", "change", "surprise"];

export function Compare({ trace, other, measure, onChange }) {
  const traces = useLoaded((signal) => get("/traces", { limit: 200 }, { signal }), []);
  const shown = COMPARED.includes(measure) ? measure : "norm";
  const compared = useLoaded(
    async (signal) => {
      if (!other) return null;
      return { other, found: await get(pathOf(trace.id, other), { measure: shown }, { signal }) };
    },
    [trace.id, other, shown],
  );
  const others = (traces.value?.items ?? []).filter(({ id }) => id !== trace.id);
  if (traces.value && !others.length) {
    return html`<${Empty} title="This is the only trace">
      <p>Say something once more, with another seed or without memory; then the two can be compared.</p><//>`;
  }
  const options = [["", "Choose a trace"], ...others.map((one) => [one.id, wordFor(one)])];
  // What is there of another trace than the chosen one must not stand under its name.
  const found = compared.value?.other === other ? compared.value.found : null;
  return html`<section class="stack" aria-label="Comparison" aria-busy=${compared.busy}>
    <div class="row bottom">
      <${Choice} label="Compared with" value=${other} options=${options} onChange=${(id) => onChange({ other: id })} />
      <${Switch} label="Measure" value=${shown} options=${COMPARED.map((name) => [name, MEASURES[name].word])}
        onChange=${(name) => onChange({ measure: name })} />
    </div>
    <${Trouble} problem=${traces.problem} again=${traces.reload} />
    <${Trouble} problem=${compared.problem} again=${compared.reload} />
    ${compared.problem ? null
      : found ? html`<${Maps} found=${found} ids=${[trace.id, other]} />`
        : other ? html`<${Busy} what="The model reads both again" />`
          : html`<p class="soft">Choose another trace: the maps of both come below each other, and their difference
              where they have the same tokens.</p>`}
  </section>`;
}

const pathOf = (first, second) => `/traces/${part(first)}/compare/${part(second)}`;

function wordFor({ id, said, conversation, created_at: at, seed }) {
  return `${cut(said ?? conversation ?? id, 60)} · ${time(at)} · seed ${seed}`;
}

function Maps({ found, ids: [first, second] }) {
  const [difference, ...each] = useMemo(
    () => [found.difference, found.first, found.second].map(layersByTokens),
    [found],
  );
  const { measure } = found.first;
  const { word } = MEASURES[measure];
  const numbers = (id) => url(`/traces/${part(id)}/map`, { measure });
  return html`<h3>What the second has more</h3>
    ${difference.columns.length
      ? html`<${HeatMap} map=${difference} both name="Difference" about=${`${word}: ${found.difference.title}`}
          file=${`${first}-${second}-${measure}`} numbers=${url(pathOf(first, second), { measure })} />`
      : html`<p class="soft">The two have no token in common.</p>`}
    <h3>This trace</h3>
    <${HeatMap} map=${each[0]} name="This trace" about=${`${word}: ${found.first.title}`}
      file=${`${first}-${measure}`} numbers=${numbers(first)} />
    <h3>The other one</h3>
    <${HeatMap} map=${each[1]} name="The other trace" about=${`${word}: ${found.second.title}`}
      file=${`${second}-${measure}`} numbers=${numbers(second)} />`;
}
