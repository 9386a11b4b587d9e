// The hits of a recall, what their scores are made of, and how they moved since what they are compared with.

import { html, useLayoutEffect, useRef, useState } from "../../../vendor/view.js";
import { fixed, percent } from "../../format.js";
import { stillness } from "../../parts/hooks.js";
import { MemoryLine } from "../../parts/memories.js";
import { ScoreBar, ScoreLegend, ScoreTable, scaleOf } from "./score.js";

/** How the order changed: by id, places gained (positive) or lost, null for what is new; and what is gone. */
export function movedBetween(before, after) {
  const was = new Map(before.map((hit, at) => [hit.memory.id, at]));
  const is = new Set(after.map((hit) => hit.memory.id));
  return {
    by: new Map(after.map(({ memory }, at) => [memory.id, was.has(memory.id) ? was.get(memory.id) - at : null])),
    gone: before.filter(({ memory }) => !is.has(memory.id)).map(({ memory }) => memory),
  };
}

function Moved({ by }) {
  if (by === 0) return null;
  if (by === null) return html`<span class="moved new">new</span>`;
  const word = `${by > 0 ? "up" : "down"} ${Math.abs(by)}`;
  return html`<span class=${`moved ${by > 0 ? "up" : "down"}`}>
    <span aria-hidden="true">${by > 0 ? "▲" : "▼"} ${Math.abs(by)}</span><span class="unseen">${word}</span></span>`;
}

/** Slide what changed its place from where it was to where it is. */
function useSliding(keys) {
  const list = useRef(null);
  const tops = useRef(new Map());
  useLayoutEffect(() => {
    const origin = list.current.getBoundingClientRect().top;
    const now = new Map();
    for (const item of list.current.children) {
      const top = item.getBoundingClientRect().top - origin;
      now.set(item.dataset.id, top);
      const before = tops.current.get(item.dataset.id);
      if (before !== undefined && Math.abs(before - top) > 1 && !stillness()) {
        const way = [{ transform: `translateY(${before - top}px)` }, { transform: "none" }];
        item.animate(way, { duration: 260, easing: "ease-out" });
      }
    }
    tops.current = now;
  }, [keys]);
  return list;
}

export function Hits({ recall, moved, marked, onMark }) {
  const { hits } = recall;
  const list = useSliding(hits.map(({ memory }) => memory.id).join());
  const [all, setAll] = useState(false);
  const reach = scaleOf(hits);
  const textOf = (id) => recall.explanation?.memories?.[id] ?? hits.find(({ memory }) => memory.id === id)?.memory;
  return html`<section aria-label="Hits">
    <div class="row spaced"><h2>Hits</h2><${ScoreLegend} />
      <button class="quiet" aria-pressed=${all}
        onClick=${() => setAll(!all)}>${all ? "Bars only" : "Every part"}</button></div>
    <ol class="hits" ref=${list}>
      ${hits.map((hit, at) => {
        const { memory } = hit;
        return html`<li key=${memory.id} data-id=${memory.id} class=${marked === memory.id ? "marked" : ""}
          onMouseEnter=${() => onMark(memory.id)} onMouseLeave=${() => onMark(null)}
          onFocusIn=${() => onMark(memory.id)} onFocusOut=${() => onMark(null)}>
          <div class="place"><span class="number">${at + 1}</span>
            <${Moved} by=${moved?.by.get(memory.id) ?? (moved ? null : 0)} /></div>
          <div class="hit">
            <${MemoryLine} memory=${{ ...memory, corrected_by: hit.corrected_by }}>
              <span class="number">· familiarity ${percent(hit.familiarity)}</span><//>
            <div class="score"><${ScoreBar} hit=${hit} reach=${reach} />
              <span class="number"
                title="The score: the sum of its parts, in standard deviations">${fixed(hit.score)}</span></div>
            <details open=${all}><summary class="small">What the score is made of</summary>
              <${ScoreTable} hit=${hit} textOf=${textOf} /></details>
          </div>
        </li>`;
      })}
    </ol>
    ${moved?.gone.length
      ? html`<div class="gone small"><h3 class="small">No longer among them</h3>
          <ul>${moved.gone.map(
            (memory) => html`<li key=${memory.id}><${MemoryLine} memory=${memory} /></li>`,
          )}</ul></div>`
      : null}
  </section>`;
}
