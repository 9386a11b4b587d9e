// Pairs of memories that say nearly the same, and merging them.

import { html, useState } from "../../../vendor/view.js";
import { get, part, post } from "../../api.js";
import { percent } from "../../format.js";
import { Busy, Empty, tell, Trouble } from "../../parts/feedback.js";
import { Slider } from "../../parts/fields.js";
import { useAction, useLoaded, useRested } from "../../parts/hooks.js";
import { MemoryLine } from "../../parts/memories.js";

export function Duplicates() {
  const [threshold, setThreshold] = useState(null);
  const asked = useRested(threshold, 250);
  const pairs = useLoaded((signal) => get("/duplicates", { threshold: asked, limit: 50 }, { signal }), [asked]);
  const merge = useAction(async (keep, other) => {
    await post(`/memories/${part(keep.id)}/merge`, { others: [other.id] });
    const undo = async () => {
      await post(`/memories/${part(other.id)}/restore`);
      pairs.reload();
      return "The other one holds again. Relations that were taken over stay with both.";
    };
    tell("Merged. The other one stays in its history.", { undo });
    pairs.reload();
  });
  const items = pairs.value?.items ?? [];
  return html`<div class="stack">
    <p class="soft">Merged, one of a pair is kept with the relations of both; the other becomes a part of its
      history.</p>
    <div class="least-alike">
      <${Slider} label="Least likeness" value=${threshold ?? 0.9} min="0.5" max="1" step="0.01"
        shown=${threshold === null ? "as Aspen has it" : percent(threshold)} onInput=${setThreshold} /></div>
    <${Trouble} problem=${pairs.problem ?? merge.problem} again=${pairs.reload} />
    ${pairs.value && !items.length
      ? html`<${Empty} title="No two memories say the same">
          <p>Lower the likeness to see pairs that are only close.</p><//>`
      : null}
    ${!pairs.value && !pairs.problem ? html`<${Busy} what="Comparing the memories" />` : null}
    <ul class="stack" aria-busy=${pairs.busy}>${items.map(
      (pair) => html`<${Pair} key=${`${pair.first.id} ${pair.second.id}`} ...${pair} merge=${merge} />`,
    )}</ul>
  </div>`;
}

function Pair({ first, second, similarity, merge }) {
  return html`<li class="card pair">
    <p class="small soft">${percent(similarity)} alike</p>
    ${[[first, second], [second, first]].map(([one, other]) => html`<div key=${one.id} class="of-pair">
      <${MemoryLine} memory=${one} />
      <button class="quiet" disabled=${merge.busy}
        onClick=${() => merge.run(one, other)}>Keep this one</button></div>`)}
  </li>`;
}
