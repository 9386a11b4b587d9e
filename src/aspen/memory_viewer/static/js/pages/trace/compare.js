// Two traces beside each other, and what the second has more than the first where both have the same token.

import { html } from "../../../vendor/view.js";
import { get, part } from "../../api.js";
import { cut, time } from "../../format.js";
import { Busy, Empty, Trouble } from "../../parts/feedback.js";
import { Choice, Switch } from "../../parts/fields.js";
import { useLoaded } from "../../parts/hooks.js";
import { HeatMap } from "./heat_map.js";
import { MEASURES, SavePicture } from "./measures.js";
import { layersByTokens } from "./shapes.js";

const COMPARED = ["norm", "change", "surprise"];

export function Compare({ trace, other, measure, onChange }) {
  const traces = useLoaded((signal) => get("/traces", { limit: 200 }, { signal }), []);
  const shown = COMPARED.includes(measure) ? measure : "norm";
  const compared = useLoaded(
    (signal) => (other ? get(`/traces/${part(trace.id)}/compare/${part(other)}`, { measure: shown }, { signal }) : Promise.resolve(null)),
    [trace.id, other, shown],
  );
  const others = (traces.value?.items ?? []).filter(({ id }) => id !== trace.id);
  const { value } = compared;
  if (traces.value && !others.length) return html`<${Empty} title="This is the only trace"><p>Say something once more, with another seed or without memory; then the two can be compared.</p><//>`;
  return html`<section class="stack" aria-label="Comparison" aria-busy=${compared.busy}>
    <div class="row bottom">
      <${Choice} label="Compared with" value=${other} options=${[["", "Choose a trace"], ...others.map((one) => [one.id, `${cut(one.said ?? one.conversation ?? one.id, 60)} · ${time(one.created_at)} · seed ${one.seed}`])]}
        onChange=${(id) => onChange({ other: id })} />
      <${Switch} label="Measure" value=${shown} options=${COMPARED.map((name) => [name, MEASURES[name].word])} onChange=${(name) => onChange({ measure: name })} />
    </div>
    <${Trouble} problem=${compared.problem} again=${compared.reload} />
    ${value && !compared.problem
      ? html`<h3>What the second has more</h3>
          ${value.difference.tokens.length
            ? html`<${HeatMap} map=${layersByTokens(value.difference)} both name="Difference" /><div class="row"><${SavePicture} name=${`${trace.id}-${other}`} /></div>`
            : html`<p class="soft">The two have no token in common.</p>`}
          <h3>This trace</h3><${HeatMap} map=${layersByTokens(value.first)} name="This trace" />
          <h3>The other one</h3><${HeatMap} map=${layersByTokens(value.second)} name="The other trace" />`
      : compared.problem ? null
        : other ? html`<${Busy} what="The model reads both again" />`
          : html`<p class="soft">Choose another trace: the maps of both come below each other, and their difference where they have the same tokens.</p>`}
  </section>`;
}
