// How the store grew: memories over the days, as a line, with the numbers behind it.

import { html } from "../../../vendor/view.js";
import { get } from "../../api.js";
import { count, counted } from "../../format.js";
import { Trouble } from "../../parts/feedback.js";
import { useLoaded } from "../../parts/hooks.js";

/** Days are counted in UTC: elsewhere midnight there is another day. */
const DATE = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
const date = (day) => DATE.format(new Date(day));

const WIDTH = 100; // of the picture, which is stretched to the room that there is
const HEIGHT = 100;

export function Growth() {
  const growth = useLoaded((signal) => get("/growth", {}, { signal }), []);
  const days = growth.value?.items ?? [];
  let total = 0;
  const points = days.map(({ day, memories, traces }) => ({ day, memories, traces, total: (total += memories) }));
  return html`<section class="card" aria-label="Growth"><h2>Growth</h2>
    <${Trouble} problem=${growth.problem} again=${growth.reload} />
    ${points.length ? html`<${Line} points=${points} /><${Days} points=${points} />`
      : growth.value ? html`<p class="soft">It begins with the first memory.</p>` : null}</section>`;
}

function Days({ points }) {
  const newest = [...points].reverse().slice(0, 400);
  return html`<details><summary class="small">The same as a table</summary><div class="scroll-y">
    <table class="small"><caption>Stored a day, in UTC</caption>
      <thead><tr><th scope="col">Day</th><th scope="col" class="number">Memories</th>
        <th scope="col" class="number">Traces</th><th scope="col" class="number">Memories in all</th></tr></thead>
      <tbody>${newest.map(({ day, memories, traces, total }) => html`<tr key=${day}><td>${date(day)}</td>
        <td class="number">${count(memories)}</td><td class="number">${count(traces)}</td>
        <td class="number">${count(total)}</td></tr>`)}</tbody>
    </table></div></details>`;
}

function Line({ points }) {
  const [first, last] = [Date.parse(points[0].day), Date.parse(points.at(-1).day)];
  const most = points.at(-1).total;
  if (first === last) return html`<p>All of the ${counted(most, "memory", "memories")} came on ${date(last)}.</p>`;
  const x = (when) => ((when - first) / (last - first)) * WIDTH;
  const y = (value) => HEIGHT - (value / most) * (HEIGHT - 4);
  const line = points.map((point) => `${x(Date.parse(point.day)).toFixed(2)},${y(point.total).toFixed(2)}`).join(" ");
  const words = `Up to ${counted(most, "memory", "memories")} between ${date(first)} and ${date(last)}`;
  return html`<figure>
    <p class="small soft number">${counted(most, "memory", "memories")}</p>
    <svg class="growth" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${words}>
      <polygon points=${`0,${HEIGHT} ${line} ${WIDTH},${HEIGHT}`} />
      <polyline points=${line} />
      <line class="axis" x1="0" x2=${WIDTH} y1=${HEIGHT} y2=${HEIGHT} />
    </svg>
    <figcaption class="row spaced small soft"><span>${date(first)}</span><span>${date(last)}</span></figcaption>
  </figure>`;
}
