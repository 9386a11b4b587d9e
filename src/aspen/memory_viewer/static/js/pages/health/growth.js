// How the store grew: memories over the days, as a line, with the numbers behind it.

import { html } from "../../../vendor/view.js";
import { get } from "../../api.js";
import { count, counted, date } from "../../format.js";
import { Trouble } from "../../parts/feedback.js";
import { useLoaded } from "../../parts/hooks.js";

const WIDTH = 100; // of the picture, which is stretched to the room that there is
const HEIGHT = 100;

export function Growth() {
  const growth = useLoaded((signal) => get("/growth", {}, { signal }), []);
  const days = growth.value?.items ?? [];
  let total = 0;
  const points = days.map(({ day, memories, traces }) => ({ day, memories, traces, total: (total += memories) }));
  return html`<section class="card" aria-label="Growth"><h2>Growth</h2>
    <${Trouble} problem=${growth.problem} again=${growth.reload} />
    ${points.length ? html`<${Line} points=${points} />` : growth.value ? html`<p class="soft">It begins with the first memory.</p>` : null}
    ${points.length
      ? html`<details><summary class="small">The same as a table</summary><div class="scroll-y"><table class="small"><caption>Stored a day</caption>
          <thead><tr><th scope="col">Day</th><th scope="col" class="number">Memories</th><th scope="col" class="number">Traces</th><th scope="col" class="number">Memories in all</th></tr></thead>
          <tbody>${[...points].reverse().slice(0, 400).map((point) => html`<tr key=${point.day}><td>${date(point.day)}</td><td class="number">${count(point.memories)}</td><td class="number">${count(point.traces)}</td><td class="number">${count(point.total)}</td></tr>`)}</tbody></table></div></details>`
      : null}</section>`;
}

function Line({ points }) {
  const [first, last] = [Date.parse(points[0].day), Date.parse(points.at(-1).day)];
  const most = points.at(-1).total;
  if (first === last) return html`<p>All of the ${counted(most, "memory", "memories")} came on ${date(last)}.</p>`;
  const x = (when) => ((when - first) / (last - first)) * WIDTH;
  const y = (value) => HEIGHT - (value / most) * (HEIGHT - 4);
  const line = points.map((point) => `${x(Date.parse(point.day)).toFixed(2)},${y(point.total).toFixed(2)}`).join(" ");
  return html`<figure>
    <p class="small soft number">${counted(most, "memory", "memories")}</p>
    <svg class="growth" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${`Up to ${counted(most, "memory", "memories")} between ${date(first)} and ${date(last)}`}>
      <polygon points=${`0,${HEIGHT} ${line} ${WIDTH},${HEIGHT}`} />
      <polyline points=${line} />
      <line class="axis" x1="0" x2=${WIDTH} y1=${HEIGHT} y2=${HEIGHT} />
    </svg>
    <figcaption class="row spaced small soft"><span>${date(first)}</span><span>${date(last)}</span></figcaption>
  </figure>`;
}
