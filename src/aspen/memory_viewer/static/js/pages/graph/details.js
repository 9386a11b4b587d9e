// A memory that was clicked in the graph: what it says, what it stands between, where it came from.

import { html, useEffect, useRef } from "../../../vendor/view.js";
import { part } from "../../api.js";
import { cut, fixed, saidAt, time } from "../../format.js";
import { Busy, Trouble } from "../../parts/feedback.js";
import { useLoaded } from "../../parts/hooks.js";
import { TypeMark } from "../../parts/marks.js";
import { About, AllWords, loadMemory, memoryAddress, Priority } from "../../parts/memories.js";
import { directed, eachOnce, relationKey, wayBack } from "../../parts/relations.js";
import { address } from "../../router.js";

const LISTED = 12;

export function Details({ id, onChoose, onNeighbours, onClose }) {
  const path = `/memories/${part(id)}`;
  const loaded = useLoaded((signal) => loadMemory(path, signal), [id]);
  const { problem } = loaded;
  const value = loaded.value?.memory.id === id ? loaded.value : null;
  const box = useRef(null);
  useEffect(() => {
    // What was chosen with may be gone, as a match of the finder is: reading goes on here.
    if (["BODY", "MAIN"].includes(document.activeElement.tagName)) box.current.focus({ preventScroll: true });
  }, [id]);
  return html`<section class="details card" aria-label="The chosen memory" ref=${box} tabindex="-1">
    <button class="icon close" aria-label="Close" onClick=${onClose}>×</button>
    ${problem ? html`<${Trouble} problem=${problem} again=${loaded.reload} />` : null}
    ${value ? html`<${Chosen} ...${value} onChoose=${onChoose} onNeighbours=${onNeighbours} />` : null}
    ${value || problem ? null : html`<${Busy} />`}
  </section>`;
}

function Chosen({ memory, relations, history, traces, onChoose, onNeighbours }) {
  return html`<div class="stack">
    <p class="row small"><${TypeMark} type=${memory.type} /><${Priority} value=${memory.priority} /></p>
    <${AllWords} text=${memory.text} />
    <p class="small soft"><${About} memory=${memory} /></p>
    <div class="row">
      <button class="quiet" onClick=${() => onNeighbours(memory.id)}>Load its neighbours</button>
      <a class="button quiet" href=${memoryAddress(memory.id)}>Open</a>
    </div>
    ${relations.length
      ? html`<${Neighbours} memory=${memory} relations=${eachOnce(relations)} onChoose=${onChoose} />`
      : html`<p class="small soft">No relation leads from it or to it.</p>`}
    ${history.length > 1
      ? html`<div><h3 class="small">History</h3>
          <ol class="small">${history.map((version) => html`<li key=${version.id}>
            <span class="soft">${time(saidAt(version))} </span>
            <span dir="auto">${cut(version.text, 90)}</span></li>`)}</ol></div>`
      : null}
    ${traces.length
      ? html`<div><h3 class="small">Traces it stands in</h3>
          <ul class="small">${traces.slice(0, 5).map((trace) => html`<li key=${trace.id}>
            <a href=${address("trace", [trace.id])}>${time(trace.created_at)}</a>
            <span class="soft"> ${trace.conversation ?? ""}</span></li>`)}</ul></div>`
      : null}
  </div>`;
}

function Neighbours({ memory, relations, onChoose }) {
  return html`<div><h3 class="small">Neighbours</h3>
    <ul class="neighbours small">${relations.slice(0, LISTED).map((relation) => html`<li key=${relationKey(relation)}>
      <span class="soft">${directed(relation, memory.id)}${" "}
        <span class="number">${fixed(relation.weight)}${wayBack(relation)}</span></span>
      <button class="link" onClick=${() => onChoose(relation.other)}><${TypeMark} type=${relation.other_type} bare />
        <span dir="auto"> ${cut(relation.other_text, 70)}</span></button></li>`)}</ul>
    ${relations.length > LISTED ? html`<p class="small soft">and ${relations.length - LISTED} more</p>` : null}
  </div>`;
}
