// All memories: looking for them, looking after them, bringing them in and out.

import { html } from "../../../vendor/view.js";
import { CoActivation } from "./coactivation.js";
import { Duplicates } from "./duplicates.js";
import { OneMemory } from "./one.js";
import { Search } from "./search.js";
import { Transfer } from "./transfer.js";

const VIEWS = { "": "All", duplicates: "Duplicates", links: "Used together", transfer: "Import and export" };

export function Page({ place }) {
  const [view = ""] = place.rest;
  if (!(view in VIEWS)) return html`<${OneMemory} key=${view} id=${view} />`;
  const Shown = { "": Search, duplicates: Duplicates, links: CoActivation, transfer: Transfer }[view];
  return html`<div>
    <div class="title"><h1>Memories</h1></div>
    <nav class="tabs" aria-label="Views of the memories">${Object.entries(VIEWS).map(
      ([key, word]) => html`<a key=${key} href=${key ? `/memories/${key}` : "/memories"}
        aria-current=${key === view ? "page" : undefined}>${word}</a>`,
    )}</nav>
    <${Shown} query=${place.query} />
  </div>`;
}
