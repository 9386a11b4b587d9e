// A memory wherever it is shown: its words as text and nothing but text, and what they come with.

import { html, useState } from "../../vendor/view.js";
import { get } from "../api.js";
import { count, cut, date, fixed, saidAt, words } from "../format.js";
import { address } from "../router.js";
import { TypeMark } from "./marks.js";

const LIST_LENGTH = 400; // characters; the style sheet shows some lines of them
const FULL_LENGTH = 4000;

/** What a memory says, in a list: the first lines. `dir=auto` and isolation keep text of any direction to itself. */
export function Words({ text }) {
  return html`<span class="words" dir="auto">${cut(text, LIST_LENGTH)}</span>`;
}

/** All that a memory says. A very long one is shown in part first, for a line of 100 kB takes long to lay out. */
export function AllWords({ text }) {
  const [all, setAll] = useState(false);
  if (all || text.length <= FULL_LENGTH) return html`<p class="all-words" dir="auto">${text}</p>`;
  return html`<p class="all-words" dir="auto">${cut(text, FULL_LENGTH)}</p>
    <button class="quiet" onClick=${() => setAll(true)}>Show all ${count(text.length)} characters</button>`;
}

/** Who said it, when, and how it stands. */
export function About({ memory }) {
  const parts = [
    memory.speaker,
    date(saidAt(memory)),
    memory.provenance === "said" ? null : memory.provenance,
    memory.stability === "tentative" ? null : memory.stability,
    memory.corrected_by ? "corrected" : null,
    ...(memory.tags ?? []).slice(0, 6).map((tag) => `#${tag}`),
  ].filter(Boolean);
  return html`<span class="about" dir="auto">${parts.map((part) => cut(part, 40)).join(" · ")}</span>`;
}

/** How much a memory matters just now, in [0, 1], as a line and a number. */
export function Priority({ value }) {
  const width = `${Math.round(value * 100)}%`;
  return html`<span class="priority" title="How much it matters just now, from 0 to 1">
    <span class="small soft">priority </span>
    <span class="gauge" aria-hidden="true"><span style=${{ width }}></span></span>
    ${fixed(value)}
  </span>`;
}

const PARTS = ["", "/relations", "/history", "/traces"];

/** A memory with its relations, all of its versions, and the traces it stands in; `path` is its own behind the API. */
export async function loadMemory(path, signal) {
  const [memory, ...lists] = await Promise.all(PARTS.map((one) => get(path + one, {}, { signal })));
  const [relations, history, traces] = lists.map(({ items }) => items);
  return { memory, relations, history, traces };
}

/** The address at which a memory is shown. */
export const memoryAddress = (id) => address("memories", [id]);

/** A memory in a list, which leads to the memory itself. */
export function MemoryLine({ memory, children }) {
  return html`<div class="memory">
    <${TypeMark} type=${memory.type} bare />
    <div>
      <a href=${memoryAddress(memory.id)} class=${memory.corrected_by ? "corrected" : ""}>
        <${Words} text=${memory.text} /></a>
      <div class="small soft"><${About} memory=${memory} /> ${children}</div>
    </div>
  </div>`;
}

/** A way on which activation came: the memories and what lies between them. */
export function Path({ path, textOf }) {
  return html`<span class="path">
    ${path.memories.map((id, at) => {
      const memory = textOf(id);
      const between = at ? words(path.relations[at - 1] ?? (path.via ? `name ${path.via}` : "turn")) : null;
      return html`${between ? html`<span class="between"> ${between} → </span>` : null}
        <a href=${memoryAddress(id)} dir="auto">${cut(memory?.text ?? id, 48)}</a>`;
    })}
  </span>`;
}
