// Links that grew because memories were used together.

import { html } from "../../../vendor/view.js";
import { get } from "../../api.js";
import { count, cut, fixed } from "../../format.js";
import { Busy, Empty, Trouble } from "../../parts/feedback.js";
import { useLoaded } from "../../parts/hooks.js";
import { memoryAddress } from "../../parts/memories.js";

export function CoActivation() {
  const links = useLoaded((signal) => get("/coactivation", { limit: 200 }, { signal }), []);
  const items = links.value?.items ?? [];
  return html`<div class="stack">
    <p class="soft">Memories that are given to the model for the same reply grow together: each time, the link between them gains, the less the
      stronger it is (Oja’s rule), and links to memories that were not there fade. Activation passes over it like over any relation.</p>
    <${Trouble} problem=${links.problem} again=${links.reload} />
    ${!links.value && !links.problem ? html`<${Busy} />` : null}
    ${links.value && !items.length ? html`<${Empty} title="No link has grown yet"><p>They grow with each reply that is given two memories or more. <a href="/conversation">Talk to the agent.</a></p><//>` : null}
    ${items.length
      ? html`<div class="scroll-x"><table class="links"><caption class="unseen">Links by weight, the heaviest first</caption>
          <thead><tr><th scope="col">From</th><th scope="col">To</th><th scope="col">Weight</th><th scope="col" class="number">Used together at most</th></tr></thead>
          <tbody>${items.map((link) => html`<tr key=${`${link.source} ${link.target}`}>
            <td><a href=${memoryAddress(link.source)} dir="auto">${cut(link.source_text, 90)}</a></td><td><a href=${memoryAddress(link.target)} dir="auto">${cut(link.target_text, 90)}</a></td>
            <td class="number"><span class="gauge" aria-hidden="true"><span style=${{ width: `${Math.round(link.weight * 100)}%` }}></span></span>${fixed(link.weight)}</td>
            <td class="number">${count(link.uses)} ${link.uses === 1 ? "time" : "times"}</td></tr>`)}</tbody></table></div>`
      : null}
  </div>`;
}
