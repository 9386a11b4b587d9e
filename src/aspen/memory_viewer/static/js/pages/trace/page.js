// One inference, layer by layer and token by token; and the list of all that were recorded.

import { html } from "../../../vendor/view.js";
import { get, part } from "../../api.js";
import { bytes, counted, time, words } from "../../format.js";
import { Busy, Trouble } from "../../parts/feedback.js";
import { useLoaded } from "../../parts/hooks.js";
import { AllWords } from "../../parts/memories.js";
import { Replay } from "../../parts/replay.js";
import { address, go } from "../../router.js";
import { Attention } from "./attention.js";
import { Compare } from "./compare.js";
import { LEVELS, Traces } from "./list.js";
import { Measures } from "./measures.js";
import { WhatIf } from "./what_if.js";

const VIEWS = { map: "Layers and tokens", attention: "Attention", compare: "Compare", edit: "What if" };

export function Page({ place }) {
  const id = place.rest[0];
  return id ? html`<${OneTrace} key=${id} id=${id} query=${place.query} />` : html`<${Traces} query=${place.query} />`;
}

function OneTrace({ id, query }) {
  const loaded = useLoaded((signal) => get(`/traces/${part(id)}`, {}, { signal }), [id]);
  const view = query.get("view") in VIEWS ? query.get("view") : "map";
  const now = {
    view,
    measure: query.get("measure") || "norm",
    prompt: query.get("prompt") ?? "",
    layer: Number(query.get("layer")) || 0,
    head: query.get("head") ?? "",
    other: query.get("other") ?? "",
  };
  const to = (changed) => {
    const { view: shown, measure, layer, ...rest } = { ...now, ...changed };
    const told = {
      view: shown === "map" ? "" : shown, measure: measure === "norm" ? "" : measure, layer: layer || "", ...rest,
    };
    return address("trace", [id], told);
  };
  const change = (changed) => go(to(changed), { replace: true });
  const trace = loaded.value;
  return html`<div>
    <p class="small upwards"><a href="/trace">All traces</a></p>
    ${loaded.problem
      ? html`<h1>Trace</h1><${Trouble} problem=${loaded.problem} again=${loaded.reload} />`
      : trace ? null : html`<${Busy} what="Reading the trace" />`}
    ${trace
      ? html`<${Heading} trace=${trace} />
        <nav class="tabs" aria-label="Views of the trace">${Object.entries(VIEWS).map(
          ([key, word]) => html`<a key=${key} href=${to({ view: key })}
            aria-current=${key === view ? "page" : undefined}>${word}</a>`,
        )}</nav>
        <${Shown} trace=${trace} now=${now} onChange=${change} />`
      : null}
  </div>`;
}

function Shown({ trace, now, onChange }) {
  const { view, measure, prompt, layer, head, other } = now;
  if (view === "attention") {
    return html`<${Attention} trace=${trace} layer=${layer} head=${head} onChange=${onChange} />`;
  }
  if (view === "compare") {
    return html`<${Compare} trace=${trace} other=${other} measure=${measure} onChange=${onChange} />`;
  }
  if (view === "edit") return html`<${WhatIf} trace=${trace} />`;
  return html`<${Measures} trace=${trace} measure=${measure} prompt=${prompt} onChange=${onChange} />`;
}

function Heading({ trace }) {
  const replied = counted(trace.token_ids.length - trace.prompt_length, "token");
  const facts = [
    ["When", time(trace.created_at)],
    ["Conversation", trace.conversation ?? "none"],
    ["Seed", String(trace.seed)],
    ["Strategy", trace.injection ? words(trace.injection.strategy) : "no memory"],
    ["Prompt", counted(trace.prompt_length, "token")],
    ["Reply", `${replied}${trace.finish_reason === "length" ? ", cut" : ""}`],
    ["Temperature", String(trace.sampler.temperature)],
    ["Keeps", LEVELS[trace.level] ?? trace.level],
    ["Size", bytes(trace.size)],
  ];
  return html`<div class="title"><h1>Trace</h1></div>
    <div class="trace-head">
      <div class="reply-of"><p class="speaker small">${trace.speaker ?? "assistant"}</p>
        <${AllWords} text=${trace.reply} />
        <details><summary class="small">The prompt, as the model read it</summary>
          <p class="all-words mono" dir="auto">${trace.prompt}</p></details></div>
      <div class="stack">
        <dl class="facts small">${facts.map(
          ([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`,
        )}</dl>
        <div class="row"><${Replay} traceId=${trace.id} /></div>
      </div>
    </div>`;
}
