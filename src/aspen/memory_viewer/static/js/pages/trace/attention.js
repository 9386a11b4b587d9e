// Where tokens looked: one block, one head or the mean of all, over the segments of the prompt and over its tokens.

import { html } from "../../../vendor/view.js";
import { get, part } from "../../api.js";
import { percent, words } from "../../format.js";
import { Busy, Trouble } from "../../parts/feedback.js";
import { Choice, Slider } from "../../parts/fields.js";
import { useLoaded, useRested } from "../../parts/hooks.js";
import { HeatMap } from "./heat_map.js";
import { SavePicture } from "./measures.js";
import { lookingByTokens } from "./shapes.js";

export function Attention({ trace, layer, head, onChange }) {
  const path = `/traces/${part(trace.id)}/attention`;
  const summary = useLoaded((signal) => get(path, {}, { signal }), [trace.id]); // [block][head][segment], as the trace keeps it
  const asked = useRested({ layer, head }, 150);
  const map = useLoaded((signal) => get(path, asked, { signal }), [trace.id, asked.layer, asked.head]);
  const blocks = summary.value?.values ?? [];
  const heads = (blocks[0] ?? []).map((_, at) => [String(at), `Head ${at}`]);
  const replied = map.value?.tokens.length > trace.prompt_length;
  return html`<section class="stack" aria-label="Attention" aria-busy=${map.busy}>
    <div class="row bottom spaced">
      <div class="row bottom">
        <div class="block-slider"><${Slider} label="Block" value=${layer} min="0" max=${Math.max(layer, blocks.length - 1)} step="1" onInput=${(value) => onChange({ layer: value })} /></div>
        <${Choice} label="Head" value=${head} options=${[["", "Mean of all heads"], ...heads]} onChange=${(value) => onChange({ head: value })} />
      </div>
      ${map.value ? html`<${SavePicture} name=${`${trace.id}-attention-${layer}`} />` : null}
    </div>
    <p class="soft">Each row is a token ${replied ? "of the reply" : ""}, from the first at the top; bright is what it looked at.</p>
    <${Trouble} problem=${map.problem} again=${map.reload} />
    ${map.value && !map.problem
      ? html`<${HeatMap} map=${lookingByTokens(map.value, { from: replied ? trace.prompt_length : 0 })} topDown name="Attention" />
          <${Shares} map=${map.value} from=${replied ? trace.prompt_length : 0} />`
      : map.busy && !map.problem ? html`<${Busy} what="The model reads the trace again" />` : null}
  </section>`;
}

/** What part of the attention fell on each segment, in the mean over the tokens that are shown. */
function Shares({ map, from }) {
  const rows = map.by_segment.slice(from);
  const means = map.segment_names.map((name, at) => [name, rows.reduce((sum, row) => sum + (row[at] ?? 0), 0) / Math.max(1, rows.length)]);
  return html`<table class="shares small"><caption>Share of the attention by segment, in the mean</caption><tbody>
    ${means.map(([name, share]) => html`<tr key=${name}><th scope="row">${words(name)}</th>
      <td class="bar-cell"><span class="piece found" style=${{ left: 0, width: `${share * 100}%` }}></span></td><td class="number">${percent(share)}</td></tr>`)}
  </tbody></table>`;
}
