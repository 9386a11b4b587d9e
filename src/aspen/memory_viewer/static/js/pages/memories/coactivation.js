// Links that grew because memories were used together.

import { html, useState } from "../../../vendor/view.js";
import { get, part } from "../../api.js";
import { count, cut, fixed, time } from "../../format.js";
import { Busy, Empty, Trouble } from "../../parts/feedback.js";
import { useLoaded } from "../../parts/hooks.js";
import { memoryAddress } from "../../parts/memories.js";
import { pairsOf, relationKey, wayBack } from "../../parts/relations.js";
import { address } from "../../router.js";

const MOST = 5; // replies that are named

export function CoActivation() {
  const links = useLoaded((signal) => get("/coactivation", { limit: 200 }, { signal }), []);
  const pairs = pairsOf(links.value?.items ?? []);
  return html`<div class="stack">
    <p class="soft">Memories that are given to the model for the same reply grow together: each time, the link between
      them gains, the less the stronger it is (Oja’s rule), and links to memories that were not there fade. Activation
      passes over it like over any relation.</p>
    <${Trouble} problem=${links.problem} again=${links.reload} />
    ${!links.value && !links.problem ? html`<${Busy} />` : null}
    ${links.value && !pairs.length
      ? html`<${Empty} title="No link has grown yet"><p>They grow with each reply that is given two memories or more.
          <a href="/conversation">Talk to the agent.</a></p><//>`
      : null}
    ${pairs.length
      ? html`<div class="scroll-x"><table class="links">
          <caption class="unseen">Links by weight, the heaviest first</caption>
          <thead><tr><th scope="col">Two memories</th><th scope="col" class="number">Weight, 0 to 1</th>
            <th scope="col">Why</th></tr></thead>
          <tbody>${pairs.map((pair) => html`<${Pair} key=${relationKey(pair)} pair=${pair} />`)}</tbody></table></div>`
      : null}
  </div>`;
}

function Pair({ pair }) {
  const [asked, setAsked] = useState(false);
  const { source, target, weight, back } = pair;
  const ends = [[source, pair.source_text], [target, pair.target_text]];
  const width = `${Math.round(weight * 100)}%`;
  return html`<tr>
    <td><ul>${ends.map(([id, text]) => html`<li key=${id}>
      <a href=${memoryAddress(id)} dir="auto">${cut(text, 110)}</a></li>`)}</ul></td>
    <td class="number"><span class="gauge" aria-hidden="true"><span style=${{ width }}></span></span>
      ${fixed(weight)}${back === null ? " one way" : wayBack(pair)}</td>
    <td>${asked
      ? html`<${Shared} one=${source} other=${target} />`
      : html`<button class="quiet" onClick=${() => setAsked(true)}>Which replies?</button>`}</td>
  </tr>`;
}

/** The replies that were given both memories, as far as their recordings are there. */
function Shared({ one, other }) {
  const shared = useLoaded(async (signal) => {
    const [first, second] = await Promise.all(
      [one, other].map((id) => get(`/memories/${part(id)}/traces`, {}, { signal })),
    );
    const there = new Set(second.items.map(({ id }) => id));
    return first.items.filter(({ id }) => there.has(id));
  }, [one, other]);
  if (shared.problem) return html`<${Trouble} problem=${shared.problem} again=${shared.reload} />`;
  if (!shared.value) return html`<${Busy} />`;
  if (!shared.value.length) {
    return html`<span class="small soft">No recording has both: the link was imported, or they are
      forgotten.</span>`;
  }
  return html`<ul class="small">${shared.value.slice(0, MOST).map((trace) => html`<li key=${trace.id}>
      <a href=${address("trace", [trace.id])} dir="auto">${cut(trace.said ?? trace.id, 60)}</a>
      <span class="soft"> ${time(trace.created_at)}</span></li>`)}</ul>
    ${shared.value.length > MOST
      ? html`<p class="small soft">and ${count(shared.value.length - MOST)} more</p>`
      : null}`;
}
