// All inferences that were recorded, newest first.

import { html, useState } from "../../../vendor/view.js";
import { get } from "../../api.js";
import { bytes, cut, time } from "../../format.js";
import { Busy, Empty, Trouble } from "../../parts/feedback.js";
import { useAction, useLoaded } from "../../parts/hooks.js";
import { address, go } from "../../router.js";

const DIGITS = 16; // of a seed: the largest is 2^53 - 1

export const LEVELS = { pooled: "means by layer", int8: "all activations, 8 bits", fp16: "all activations, 16 bits" };

/** A seed as an address tells it; what is none is left out. */
const seedIn = (text) => (/^\d+$/.test(text ?? "") && Number(text) <= Number.MAX_SAFE_INTEGER ? text : "");

export function Traces({ query }) {
  const filters = { conversation: query.get("conversation") ?? "", seed: seedIn(query.get("seed")), limit: 50 };
  const of = JSON.stringify(filters);
  const [further, setFurther] = useState({ of, pages: [] });
  const first = useLoaded(
    async (signal) => {
      const page = await get("/traces", filters, { signal });
      setFurther({ of, pages: [] });
      return page;
    },
    [of],
  );
  const pages = further.of === of ? further.pages : []; // those of other filters come too late
  const last = pages.at(-1) ?? first.value;
  const more = useAction(async () => {
    const page = await get("/traces", { ...filters, cursor: last.next });
    setFurther({ of, pages: [...pages, page] });
  });
  const traces = [first.value, ...pages].flatMap((page) => page?.items ?? []);
  return html`<div>
    <div class="title"><h1>Traces</h1>
      <p>Every reply is recorded as it was computed. Open one to see what happened inside the model.</p></div>
    <${Filters} filters=${filters} />
    <${Trouble} problem=${first.problem} again=${first.reload} />
    ${!first.value && first.busy ? html`<${Busy} />` : null}
    ${first.value && !traces.length ? html`<${Nothing} filtered=${filters.conversation || filters.seed} />` : null}
    ${traces.length ? html`<${List} traces=${traces} />` : null}
    <${Trouble} problem=${more.problem} />
    ${last?.next
      ? html`<p><button class="quiet" disabled=${more.busy} onClick=${() => more.run()}>Show more</button></p>`
      : null}
  </div>`;
}

function Filters({ filters }) {
  const set = (name, value) =>
    go(address("trace", [], { ...filters, limit: "", [name]: value }), { replace: true });
  const setSeed = (event) => {
    const field = event.currentTarget;
    const digits = field.value.replace(/\D/g, "").slice(0, DIGITS);
    if (field.value !== digits) field.value = digits; // else a letter stays: nothing is drawn anew for it
    set("seed", seedIn(digits));
  };
  return html`<form class="row ask" onSubmit=${(event) => event.preventDefault()}>
    <label class="field"><span>Conversation</span>
      <input type="text" value=${filters.conversation}
        onChange=${(event) => set("conversation", event.currentTarget.value.trim())} /></label>
    <label class="field"><span>Seed</span>
      <input type="text" inputmode="numeric" value=${filters.seed} onInput=${setSeed} /></label>
  </form>`;
}

function Nothing({ filtered }) {
  if (filtered) {
    return html`<${Empty} title="No such trace">
      <p>None passes what is filled in above. <a href="/trace">Show all</a></p><//>`;
  }
  return html`<${Empty} title="No trace yet">
    <p>Each reply leaves one. <a href="/conversation">Talk to the agent</a>, then come back.</p><//>`;
}

function List({ traces }) {
  return html`<div class="scroll-x"><table><caption class="unseen">Traces, newest first</caption>
    <thead><tr><th scope="col">What was said</th><th scope="col">When</th><th scope="col">Conversation</th>
      <th scope="col" class="number">Seed</th><th scope="col">Keeps</th><th scope="col" class="number">Size</th>
    </tr></thead>
    <tbody>${traces.map((trace) => html`<tr key=${trace.id}>
      <td><a href=${address("trace", [trace.id])} dir="auto">${trace.said ? cut(trace.said, 80) : trace.id}</a></td>
      <td>${time(trace.created_at)}${trace.alternative_to
        ? html`<span class="small soft"> · not chosen</span>` : null}</td>
      <td dir="auto">${trace.conversation ?? ""}</td>
      <td class="number">${trace.seed}</td>
      <td>${LEVELS[trace.level] ?? trace.level}</td>
      <td class="number">${bytes(trace.size)}</td></tr>`)}</tbody></table></div>`;
}
