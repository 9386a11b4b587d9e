// Where tokens looked: one block, one head or the mean of all, over the segments of the prompt and over its tokens.

import { html, useMemo } from "../../../vendor/view.js";
import { get, part, url } from "../../api.js";
import { percent, words } from "../../format.js";
import { Busy, Trouble } from "../../parts/feedback.js";
import { Choice, Slider } from "../../parts/fields.js";
import { useLoaded, useRested } from "../../parts/hooks.js";
import { HeatMap } from "./heat_map.js";
import { lookingByTokens } from "./shapes.js";

export function Attention({ trace, layer, head, onChange }) {
  const path = `/traces/${part(trace.id)}/attention`;
  // [block][head][segment], as the trace keeps it
  const summary = useLoaded((signal) => get(path, {}, { signal }), [trace.id]);
  const asked = useRested({ layer, head }, 150);
  const map = useLoaded((signal) => get(path, asked, { signal }), [trace.id, asked.layer, asked.head]);
  const { value } = map;
  const blocks = summary.value?.values ?? [];
  const heads = (blocks[0] ?? []).map((_, at) => [String(at), `Head ${at}`]);
  const replied = value?.tokens.length > trace.prompt_length;
  const from = replied ? trace.prompt_length : 0;
  const shown = useMemo(() => value && lookingByTokens(value, { from }), [value, from]);
  return html`<section class="stack" aria-label="Attention" aria-busy=${map.busy}>
    <div class="row bottom">
      <div class="block-slider"><${Slider} label="Block" value=${layer} min="0" step="1"
        max=${Math.max(layer, blocks.length - 1)} onInput=${(to) => onChange({ layer: to })} /></div>
      <${Choice} label="Head" value=${head} options=${[["", "Mean of all heads"], ...heads]}
        onChange=${(to) => onChange({ head: to })} />
    </div>
    <p class="soft">Each row is a token ${replied ? "of the reply" : ""}, from the first at the top; bright is what it
      looked at.</p>
    <${Trouble} problem=${map.problem} again=${map.reload} />
    ${shown && !map.problem
      ? html`<${HeatMap} map=${shown} topDown name="Attention" about=${`${value.title}, ${whose(value)}`}
            file=${`${trace.id}-attention-${value.layer}${value.head === null ? "" : `-${value.head}`}`}
            numbers=${url(path, { layer: value.layer, head: value.head })} />
          <${Shares} map=${value} from=${from} />`
      : map.busy && !map.problem ? html`<${Busy} what="The model reads the trace again" />` : null}
  </section>`;
}

const whose = ({ layer, head }) => `block ${layer}, ${head === null ? "mean of all heads" : `head ${head}`}`;

/** What part of the attention fell on each segment, in the mean over the tokens that are shown. */
function Shares({ map, from }) {
  const rows = map.by_segment.slice(from);
  const mean = (at) => rows.reduce((sum, row) => sum + (row[at] ?? 0), 0) / Math.max(1, rows.length);
  const means = map.segment_names.map((name, at) => [name, mean(at)]);
  return html`<table class="shares small"><caption>Share of the attention by segment, in the mean</caption><tbody>
    ${means.map(([name, share]) => html`<tr key=${name}><th scope="row">${words(name)}</th>
      <td class="bar-cell"><span class="piece found" style=${{ left: 0, width: `${share * 100}%` }}></span></td>
      <td class="number">${percent(share)}</td></tr>`)}
  </tbody></table>`;
}
