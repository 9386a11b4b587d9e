// One inference, layer by layer and token by token; and the list of all that were recorded.

import { html, useState } from "../../../vendor/view.js";
import { get, part } from "../../api.js";
import { bytes, counted, cut, time, words } from "../../format.js";
import { Busy, Empty, Trouble } from "../../parts/feedback.js";
import { useLoaded } from "../../parts/hooks.js";
import { AllWords } from "../../parts/memories.js";
import { address, go } from "../../router.js";
import { Replay } from "../conversation/why.js";
import { Attention } from "./attention.js";
import { Compare } from "./compare.js";
import { Measures } from "./measures.js";
import { WhatIf } from "./what_if.js";

const VIEWS = { map: "Layers and tokens", attention: "Attention", compare: "Compare", edit: "What if" };

export function Page({ place }) {
  const id = place.rest[0];
  return id ? html`<${OneTrace} key=${id} id=${id} query=${place.query} />` : html`<${Traces} query=${place.query} />`;
}

function Traces({ query }) {
  const [more, setMore] = useState([]);
  const filters = { conversation: query.get("conversation") ?? "", seed: query.get("seed") ?? "", limit: 50 };
  const first = useLoaded(async (signal) => { const page = await get("/traces", filters, { signal }); setMore([]); return page; }, [filters.conversation, filters.seed]);
  const last = more.at(-1) ?? first.value;
  const traces = [...(first.value?.items ?? []), ...more.flatMap(({ items }) => items)];
  const set = (name) => (event) => go(address("trace", [], { ...filters, limit: "", [name]: event.currentTarget.value.trim() }), { replace: true });
  return html`<div>
    <div class="title"><h1>Traces</h1><p>Every reply is recorded as it was computed. Open one to see what happened inside the model.</p></div>
    <form class="row ask" onSubmit=${(event) => event.preventDefault()}>
      <label class="field"><span>Conversation</span><input type="text" value=${filters.conversation} onChange=${set("conversation")} /></label>
      <label class="field"><span>Seed</span><input type="text" inputmode="numeric" pattern="[0-9]*" value=${filters.seed} onChange=${set("seed")} /></label>
    </form>
    <${Trouble} problem=${first.problem} again=${first.reload} />
    ${!first.value && first.busy ? html`<${Busy} />` : null}
    ${first.value && !traces.length
      ? html`<${Empty} title="No trace yet"><p>Each reply leaves one. <a href="/conversation">Talk to the agent</a>, then come back.</p><//>`
      : traces.length ? html`<div class="scroll-x"><table><caption class="unseen">Traces, newest first</caption>
        <thead><tr><th scope="col">What was said</th><th scope="col">When</th><th scope="col">Conversation</th><th scope="col" class="number">Seed</th><th scope="col">Keeps</th><th scope="col" class="number">Size</th></tr></thead>
        <tbody>${traces.map((trace) => html`<tr key=${trace.id}>
          <td><a href=${address("trace", [trace.id])} dir="auto">${trace.said ? cut(trace.said, 80) : trace.id}</a></td>
          <td>${time(trace.created_at)}${trace.alternative_to ? html`<span class="small soft"> · not chosen</span>` : null}</td>
          <td dir="auto">${trace.conversation ?? ""}</td><td class="number">${trace.seed}</td><td>${LEVELS[trace.level] ?? trace.level}</td><td class="number">${bytes(trace.size)}</td></tr>`)}</tbody></table></div>
        ${last?.next ? html`<p><button class="quiet" onClick=${async () => setMore([...more, await get("/traces", { ...filters, cursor: last.next })])}>Show more</button></p>` : null}` : null}
  </div>`;
}

const LEVELS = { pooled: "means by layer", int8: "all activations, 8 bits", fp16: "all activations, 16 bits" };

function OneTrace({ id, query }) {
  const loaded = useLoaded((signal) => get(`/traces/${part(id)}`, {}, { signal }), [id]);
  const view = query.get("view") in VIEWS ? query.get("view") : "map";
  const now = {
    view, measure: query.get("measure") || "norm", prompt: query.get("prompt") ?? "", layer: Number(query.get("layer")) || 0,
    head: query.get("head") ?? "", other: query.get("other") ?? "",
  };
  const to = (changed) => {
    const { view: shown, measure, layer, ...rest } = { ...now, ...changed };
    return address("trace", [id], { view: shown === "map" ? "" : shown, measure: measure === "norm" ? "" : measure, layer: layer || "", ...rest });
  };
  const change = (changed) => go(to(changed), { replace: true });
  const trace = loaded.value;
  return html`<div>
    <p class="small upwards"><a href="/trace">All traces</a></p>
    ${loaded.problem ? html`<h1>Trace</h1><${Trouble} problem=${loaded.problem} again=${loaded.reload} />` : null}
    ${trace
      ? html`<${Heading} trace=${trace} />
        <nav class="tabs" aria-label="Views of the trace">${Object.entries(VIEWS).map(([key, word]) => html`<a key=${key} href=${to({ view: key })} aria-current=${key === view ? "page" : undefined}>${word}</a>`)}</nav>
        ${view === "map" ? html`<${Measures} trace=${trace} measure=${now.measure} prompt=${now.prompt} onChange=${change} />` : null}
        ${view === "attention" ? html`<${Attention} trace=${trace} layer=${now.layer} head=${now.head} onChange=${change} />` : null}
        ${view === "compare" ? html`<${Compare} trace=${trace} other=${now.other} measure=${now.measure} onChange=${change} />` : null}
        ${view === "edit" ? html`<${WhatIf} trace=${trace} said=${saidIn(trace)} />` : null}`
      : loaded.problem ? null : html`<${Busy} what="Reading the trace" />`}
  </div>`;
}

/** What the user said in a trace: the tokens of its message, or else the end of the prompt. */
function saidIn({ tokens, segments }) {
  const message = segments.findLast(({ name }) => name === "message" || name === "user");
  return tokens && message ? tokens.slice(message.start, message.stop).join("").trim() : "";
}

function Heading({ trace }) {
  const facts = [
    ["When", time(trace.created_at)], ["Conversation", trace.conversation ?? "none"], ["Seed", String(trace.seed)],
    ["Strategy", trace.injection ? words(trace.injection.strategy) : "no memory"],
    ["Prompt", counted(trace.prompt_length, "token")], ["Reply", `${counted(trace.token_ids.length - trace.prompt_length, "token")}${trace.finish_reason === "length" ? ", cut" : ""}`],
    ["Temperature", String(trace.sampler.temperature)], ["Keeps", LEVELS[trace.level] ?? trace.level], ["Size", bytes(trace.size)],
  ];
  return html`<div class="title"><h1>Trace</h1></div>
    <div class="trace-head"><div class="reply-of"><p class="speaker small">${trace.speaker ?? "assistant"}</p><${AllWords} text=${trace.reply} />
        <details><summary class="small">The prompt, as the model read it</summary><p class="all-words mono" dir="auto">${trace.prompt}</p></details></div>
      <div class="stack"><dl class="facts small">${facts.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
        <div class="row"><${Replay} traceId=${trace.id} /></div></div></div>`;
}
