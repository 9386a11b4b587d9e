// Run an inference again with one thing changed, and see where the two part.

import { html, useState } from "../../../vendor/view.js";
import { part, runJob } from "../../api.js";
import { token } from "../../format.js";
import { Busy, Trouble } from "../../parts/feedback.js";
import { Choice, Lines, Text } from "../../parts/fields.js";
import { useAction } from "../../parts/hooks.js";
import { Verdict } from "../conversation/why.js";
import { HeatMap } from "./heat_map.js";
import { SavePicture } from "./measures.js";
import { distances } from "./shapes.js";

const CHANGES = [["edit", "What was said"], ["note", "The memories it was given"], ["no_note", "No memories at all"], ["seed", "The seed"], ["temperature", "The temperature"]];

export function WhatIf({ trace, said }) {
  const [change, setChange] = useState("edit");
  const [values, setValues] = useState({ edit: said, note: "", seed: String(trace.seed + 1), temperature: "0.8" });
  const [found, setFound] = useState(null);
  const set = (name) => (value) => setValues((before) => ({ ...before, [name]: value }));
  const body = { edit: { edit: values.edit }, note: { note: values.note }, no_note: { no_note: true },
    seed: { seed: Number(values.seed) }, temperature: { temperature: Number(values.temperature) } }[change];
  const ready = change === "no_note" || String(values[change]).trim() !== "";
  const run = useAction(async (sent) => setFound(await runJob(`/traces/${part(trace.id)}/replay`, sent)));
  return html`<section class="stack" aria-label="What if">
    <p class="soft">Everything else stays: the other tokens, the way they were fed, the seed. Nothing of it is stored.</p>
    <form class="stack" onSubmit=${(event) => { event.preventDefault(); run.run(body); }}>
      <div class="row bottom">
        <${Choice} label="What is changed" value=${change} options=${CHANGES} onChange=${setChange} />
        ${change === "seed" ? html`<${Text} label="Seed" value=${values.seed} inputmode="numeric" onInput=${(value) => set("seed")(value.replace(/\D/g, "").slice(0, 15))} />` : null}
        ${change === "temperature" ? html`<${Text} label="Temperature" value=${values.temperature} inputmode="decimal" onInput=${set("temperature")} />` : null}
      </div>
      ${change === "edit" ? html`<${Lines} label="What was said instead" value=${values.edit} onInput=${set("edit")} />` : null}
      ${change === "note" ? html`<${Lines} label="Memories, one a line" rows="3" placeholder="One memory a line" value=${values.note} onInput=${set("note")} />` : null}
      <div class="row"><button disabled=${run.busy || !ready}>Run both</button>
        <button type="button" class="quiet" disabled=${run.busy} onClick=${() => run.run({})}>Verify as it was</button></div>
    </form>
    ${run.busy ? html`<${Busy} what="Running it again" />` : null}
    <${Trouble} problem=${run.problem} />
    ${found?.verdict ? html`<${Verdict} report=${found} />` : found ? html`<${Difference} found=${found} />` : null}
  </section>`;
}

function Difference({ found }) {
  return html`<p role="status">${found.explanation}</p>
    <div class="answers two"><div class="reply"><p class="speaker small">As it was · seed ${found.before.seed}</p><p class="all-words" dir="auto">${found.before.reply}</p></div>
      <div class="reply"><p class="speaker small">Changed · seed ${found.after.seed}</p><p class="all-words" dir="auto">${found.after.reply}</p></div></div>
    <h3>Token by token</h3>
    <${Tokens} pairs=${found.tokens} />
    ${found.divergence.texts.length
      ? html`<h3>How far the activations of shared tokens are apart</h3><${HeatMap} map=${distances(found.divergence)} name="Distance" /><div class="row"><${SavePicture} name=${`${found.trace_id}-what-if`} /></div>`
      : null}`;
}

/** Both runs as one text: what only the first has is struck out, what only the second has is underlined. */
function Tokens({ pairs }) {
  const runs = [];
  for (const pair of pairs) {
    const kind = pair.same ? "same" : "other";
    const last = runs.at(-1);
    const piece = { was: pair.before_text ?? "", is: pair.after_text ?? "" };
    if (last && last.kind === kind && last.in_prompt === pair.in_prompt) {
      last.was += piece.was;
      last.is += piece.is;
    } else runs.push({ kind, in_prompt: pair.in_prompt, ...piece });
  }
  return html`<p class="token-text mono" dir="auto">${runs.map((run, at) => run.kind === "same"
    ? html`<span key=${at} class=${run.in_prompt ? "soft" : ""}>${run.was}</span>`
    : html`${run.was ? html`<del key=${`${at} was`}>${token(run.was)}</del>` : null}${run.is ? html`<ins key=${`${at} is`}>${token(run.is)}</ins>` : null}`)}</p>`;
}
