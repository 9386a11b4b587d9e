// What of the graph is drawn, and a way to a memory by its words.

import { html, useState } from "../../../vendor/view.js";
import { count, cut, fixed, words } from "../../format.js";
import { Choice, Tick } from "../../parts/fields.js";
import { RELATIONS, TYPES, TypeMark } from "../../parts/marks.js";
import { memoryAddress } from "../../parts/memories.js";
import { relationKey } from "../../parts/relations.js";

const GROUPS = [
  { word: "Relations", types: RELATIONS },
  { word: "Turns that follow", types: ["next"] },
  { word: "Used together", types: ["co_activated"] },
  { word: "Corrections", types: ["historical_version_of"] },
];
const ROWS = 200; // of a table
const SIZES = ["100", "500", "2000", "5000"];

export function Filters({ counts, hidden, onHide, size, onSize }) {
  const toggle = (set, names) => {
    const after = new Set(set);
    for (const name of names) (after.has(name) ? after.delete(name) : after.add(name));
    return after;
  };
  const nodes = (type) => count(counts.types[type] ?? 0);
  const edges = (types) => count(types.reduce((sum, type) => sum + (counts.relations[type] ?? 0), 0));
  const hideType = (type) => onHide({ ...hidden, types: toggle(hidden.types, [type]) });
  const hideRelations = (types) => onHide({ ...hidden, relations: toggle(hidden.relations, types) });
  return html`<details class="card filters" open=${matchMedia("(min-width: 58rem)").matches}>
    <summary>What is shown</summary>
    <div class="stack">
      <fieldset><legend class="unseen">Types</legend>${Object.keys(TYPES).map((type) => html`<div key=${type}>
        <${Tick} label=${html`<${TypeMark} type=${type} /> <span class="soft small">${nodes(type)}</span>`}
          checked=${!hidden.types.has(type)} onChange=${() => hideType(type)} /></div>`)}</fieldset>
      <fieldset><legend class="unseen">Relations</legend>${GROUPS.map(({ word, types }) => html`<div key=${word}>
        <${Tick} label=${word} hint=${edges(types)} checked=${!hidden.relations.has(types[0])}
          onChange=${() => hideRelations(types)} /></div>`)}</fieldset>
      <${Choice} label="Most memories" value=${size} options=${SIZES.map((one) => [one, count(Number(one))])}
        onChange=${onSize} />
    </div>
  </details>`;
}

/** Find a memory among those that are drawn; the matches can be chosen by keyboard. */
export function Finder({ drawing, onChoose }) {
  const [text, setText] = useState("");
  const wanted = text.trim().toLowerCase();
  const found = [];
  if (drawing && wanted.length > 1) {
    drawing.graph.someNode((id, data) => {
      if (data.text.toLowerCase().includes(wanted)) found.push({ id, ...data });
      return found.length >= 8;
    });
  }
  const choose = (id) => {
    onChoose(id);
    setText("");
  };
  return html`<div class="finder">
    <input type="search" aria-label="Find a memory in the graph" placeholder="Find in the graph" value=${text}
      onInput=${(event) => setText(event.currentTarget.value)} />
    ${wanted.length > 1
      ? html`<ul class="card">${found.map(({ id, memoryType, text: all }) => html`<li key=${id}>
          <button class="link" onClick=${() => choose(id)}><${TypeMark} type=${memoryType} bare />
            <span dir="auto"> ${cut(all, 60)}</span></button></li>`)}
          ${found.length
            ? null
            : html`<li class="small soft">None of the memories that are drawn says that.</li>`}</ul>`
      : null}
  </div>`;
}

/** The picture as tables: for those who do not see it, or where WebGL is missing. */
export function GraphTable({ graph }) {
  const [open, setOpen] = useState(false);
  return html`<details onToggle=${(event) => setOpen(event.currentTarget.open)}>
    <summary class="small">The graph as a table</summary>
    ${open ? html`<${MemoriesTable} nodes=${graph.nodes} /><${RelationsTable} ...${graph} />` : null}
  </details>`;
}

function MemoriesTable({ nodes }) {
  const rows = [...nodes].sort((one, other) => (other.degree ?? 0) - (one.degree ?? 0)).slice(0, ROWS);
  const some = `The ${count(rows.length)} memories with the most relations, of ${count(nodes.length)}`;
  return html`<div class="scroll-y"><table class="small">
    <caption>${rows.length < nodes.length ? some : "Memories"}</caption>
    <thead><tr><th scope="col">Type</th><th scope="col">Memory</th><th scope="col" class="number">Relations</th>
      <th scope="col" class="number">Priority, 0 to 1</th></tr></thead>
    <tbody>${rows.map(({ id, type, text, degree, priority }) => html`<tr key=${id}><td><${TypeMark} type=${type} /></td>
      <td><a href=${memoryAddress(id)} dir="auto">${cut(text, 120)}</a></td>
      <td class="number">${degree === undefined ? "" : count(degree)}</td>
      <td class="number">${fixed(priority)}</td></tr>`)}</tbody></table></div>`;
}

function RelationsTable({ nodes, edges }) {
  const texts = new Map(nodes.map(({ id, text }) => [id, text]));
  const rows = [...edges].sort((one, other) => other.weight - one.weight).slice(0, ROWS);
  const some = `The ${count(rows.length)} heaviest relations, of ${count(edges.length)}`;
  return html`<div class="scroll-y"><table class="small">
    <caption>${rows.length < edges.length ? some : "Relations"}</caption>
    <thead><tr><th scope="col">From</th><th scope="col">Relation</th><th scope="col">To</th>
      <th scope="col" class="number">Weight, 0 to 1</th></tr></thead>
    <tbody>${rows.map((edge) => html`<tr key=${relationKey(edge)}>
      <td dir="auto">${cut(texts.get(edge.source) ?? "", 80)}</td>
      <td>${words(edge.type)}</td><td dir="auto">${cut(texts.get(edge.target) ?? "", 80)}</td>
      <td class="number">${fixed(edge.weight)}</td></tr>`)}</tbody></table></div>`;
}
