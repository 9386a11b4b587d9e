// How the store grew: memories over the days, as a line, with the numbers behind it.

import { html } from "../../../vendor/view.js";
import { get } from "../../api.js";
import { count, date } from "../../format.js";
import { Trouble } from "../../parts/feedback.js";
import { useLoaded } from "../../parts/hooks.js";

const WIDTH = 460;
const HEIGHT = 130;
const EDGE = { left: 4, right: 4, top: 14, bottom: 20 };

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
  const first = Date.parse(points[0].day) - 86_400_000;
  const last = Date.parse(points.at(-1).day);
  const most = points.at(-1).total;
  const x = (when) => EDGE.left + ((when - first) / Math.max(1, last - first)) * (WIDTH - EDGE.left - EDGE.right);
  const y = (value) => HEIGHT - EDGE.bottom - (value / most) * (HEIGHT - EDGE.top - EDGE.bottom);
  const line = [[x(first), y(0)], ...points.map((point) => [x(Date.parse(point.day)), y(point.total)])].map(([px, py]) => `${px.toFixed(1)},${py.toFixed(1)}`).join(" ");
  return html`<svg class="growth" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label=${`From 0 to ${count(most)} memories between ${date(first)} and ${date(last)}`}>
    <line class="axis" x1=${EDGE.left} x2=${WIDTH - EDGE.right} y1=${HEIGHT - EDGE.bottom} y2=${HEIGHT - EDGE.bottom} />
    <polygon points=${`${line} ${x(last)},${y(0)}`} />
    <polyline points=${line} />
    <text x=${EDGE.left} y=${HEIGHT - 4}>${date(first)}</text><text x=${WIDTH - EDGE.right} y=${HEIGHT - 4} text-anchor="end">${date(last)}</text>
    <text x=${WIDTH - EDGE.right} y="10" text-anchor="end">${count(most)} memories</text>
  </svg>`;
}
