// Search, filter, sort and page. All of it stands in the address.

import { html, useRef, useState } from "../../../vendor/view.js";
import { get, post } from "../../api.js";
import { count, counted } from "../../format.js";
import { Busy, Empty, tell, Trouble } from "../../parts/feedback.js";
import { Choice, Lines, Slider, Text, Window } from "../../parts/fields.js";
import { useAction, useLoaded, useRested } from "../../parts/hooks.js";
import { PROVENANCES, STABILITIES, TYPES } from "../../parts/marks.js";
import { MemoryLine, Priority } from "../../parts/memories.js";
import { address, go } from "../../router.js";

const MORE = ["tag", "speaker", "conversation", "provenance", "stability", "since", "until", "min_priority"];
const NAMES = ["text", "type", ...MORE, "sort"];
// By when they were stored: the lines show the day on which something was said, which may be long before.
const SORTS = [
  ["newest", "Newest stored"], ["oldest", "Oldest stored"], ["priority", "What matters most"], ["used", "Most used"],
];
const KINDS = Object.entries(TYPES);
const PAGE = 50;

export function Search({ query }) {
  const filters = Object.fromEntries(NAMES.map((name) => [name, query.get(name) ?? ""]));
  const cursors = (query.get("after") ?? "").split(",").filter(Boolean); // of the pages before, and of this one
  const [adding, setAdding] = useState(false);
  const wanted = useRested(filters, 200);
  const page = useLoaded(
    (signal) => get("/memories", { ...wanted, cursor: cursors.at(-1), limit: PAGE }, { signal }),
    [JSON.stringify(wanted), cursors.join()],
  );
  const set = (name) => (value) => go(address("memories", [], { ...filters, [name]: value }), { replace: true });
  const { value } = page;
  const known = useKnown(value?.items);
  const filtered = NAMES.some((name) => name !== "sort" && filters[name]);
  const turn = (pages) => {
    go(address("memories", [], { ...filters, after: pages.join() }));
    scrollTo({ top: 0 });
  };
  const added = () => {
    setAdding(false);
    page.reload();
  };
  const pages = value ? Math.ceil(value.total / PAGE) : 0;
  const where = cursors.length ? `, page ${count(cursors.length + 1)} of ${count(pages)}` : "";
  return html`<div class="stack">
    <${Filters} filters=${filters} set=${set} known=${known} />
    <${Trouble} problem=${page.problem} again=${page.reload} />
    ${value
      ? html`<div class="row spaced">
            <p class="soft small" role="status">${counted(value.total, "memory", "memories")}${where}</p>
            <button type="button" class="quiet" onClick=${() => setAdding(true)}>Remember something</button></div>
          ${value.items.length
            ? html`<ul class="lined" aria-busy=${page.busy}>${value.items.map(
                (memory) => html`<li key=${memory.id} class="found-memory"><${MemoryLine} memory=${memory} />
                  <${Priority} value=${memory.priority} /></li>`,
              )}</ul>`
            : html`<${Nothing} filtered=${filtered} text=${filters.text} />`}
          ${value.next || cursors.length
            ? html`<nav class="row" aria-label="Pages of the list">
                <button class="quiet" disabled=${!cursors.length}
                  onClick=${() => turn(cursors.slice(0, -1))}>Back</button>
                <button class="quiet" disabled=${!value.next}
                  onClick=${() => turn([...cursors, value.next])}>Next</button></nav>`
            : null}`
      : page.problem ? null : html`<${Busy} />`}
    ${adding ? html`<${Remember} onClose=${() => setAdding(false)} onDone=${added} />` : null}
  </div>`;
}

/** The tags and speakers of all memories that were listed so far, to be suggested: a list that is filtered has few. */
function useKnown(items = []) {
  const seen = useRef({ tags: new Set(), speakers: new Set() }).current;
  for (const { tags, speaker } of items) {
    tags.forEach((tag) => seen.tags.add(tag));
    if (speaker) seen.speakers.add(speaker);
  }
  return { tags: [...seen.tags].sort(), speakers: [...seen.speakers].sort() };
}

function Filters({ filters, set, known }) {
  const [open, setOpen] = useState(false); // stays so when the last filter in it is emptied, and filled in anew
  const types = [["", "All types"], ...KINDS.map(([key, { word }]) => [key, word])];
  return html`<form class="stack" role="search" onSubmit=${(event) => event.preventDefault()}>
    <div class="row bottom">
      <div class="grow"><${Text} label="Words in it" type="search" value=${filters.text} onInput=${set("text")} /></div>
      <${Choice} label="Type" value=${filters.type} options=${types} onChange=${set("type")} />
      <${Choice} label="Order" value=${filters.sort || "newest"} options=${SORTS} onChange=${set("sort")} />
    </div>
    <details open=${open || MORE.some((name) => filters[name])}
      onToggle=${(event) => setOpen(event.currentTarget.open)}><summary class="small">More filters</summary>
      <div class="settings">
        <${Text} label="Tag" value=${filters.tag} suggestions=${known.tags} onInput=${set("tag")} />
        <${Text} label="Speaker" value=${filters.speaker} suggestions=${known.speakers} onInput=${set("speaker")} />
        <${Text} label="Conversation" value=${filters.conversation} onInput=${set("conversation")} />
        <${Text} label="Said on or after" type="date" value=${filters.since} onInput=${set("since")} />
        <${Text} label="Said before" type="date" value=${filters.until} onInput=${set("until")} />
        <${Choice} label="Where it comes from" value=${filters.provenance}
          options=${[["", "Anywhere"], ...PROVENANCES]} onChange=${set("provenance")} />
        <${Choice} label="Stability" value=${filters.stability} options=${[["", "Any"], ...STABILITIES]}
          onChange=${set("stability")} />
        <${Slider} label="Least priority" value=${Number(filters.min_priority) || 0} min="0" max="1" step="0.05"
          onInput=${(least) => set("min_priority")(least ? String(least) : "")} />
      </div>
    </details>
  </form>`;
}

function Nothing({ filtered, text }) {
  return filtered
    ? html`<${Empty} title="No memory fits"><p>Take away a filter. Here words are matched as they stand;${" "}
        <a href=${address("recall", [], { prompt: text })}>recall</a> finds by meaning as well.</p><//>`
    : html`<${Empty} title="Nothing is remembered yet"><p>Say something in a${" "}
        <a href="/conversation">conversation</a>, <a href="/memories/transfer">import a file</a>, or press Remember
        something.</p><//>`;
}

function Remember({ onClose, onDone }) {
  const [item, setItem] = useState({ text: "", speaker: "", type: "episodic" });
  const set = (name) => (value) => setItem((before) => ({ ...before, [name]: value }));
  const save = useAction(async () => {
    const speaker = item.speaker.trim() ? { speaker: item.speaker.trim() } : {};
    await post("/memories", { items: [{ text: item.text.trim(), type: item.type, ...speaker }] });
    tell("Remembered.");
    onDone();
  });
  const submit = (event) => {
    event.preventDefault();
    save.run();
  };
  const types = KINDS.map(([key, { word, meaning }]) => [key, `${word}: ${meaning}`]);
  return html`<${Window} title="Remember something" onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <${Lines} label="What is to be remembered" placeholder="What is to be remembered" rows="3" value=${item.text}
        onInput=${set("text")} />
      <div class="row bottom">
        <${Text} label="Who says it" hint="if anybody" value=${item.speaker} onInput=${set("speaker")} />
        <${Choice} label="Type" value=${item.type} options=${types} onChange=${set("type")} /></div>
      <${Trouble} problem=${save.problem} />
      <div class="row end"><button type="button" class="quiet" onClick=${onClose}>Leave it</button>
        <button disabled=${save.busy || !item.text.trim()}>Remember</button></div>
    </form>
  <//>`;
}
