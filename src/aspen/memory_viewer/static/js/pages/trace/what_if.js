// Run an inference again with one thing changed, and see where the two part.

import { html, useMemo, useState } from "../../../vendor/view.js";
import { part, runJob } from "../../api.js";
import { token } from "../../format.js";
import { Busy, Trouble } from "../../parts/feedback.js";
import { Choice, Lines, Text } from "../../parts/fields.js";
import { useAction } from "../../parts/hooks.js";
import { Verdict } from "../../parts/replay.js";
import { HeatMap } from "./heat_map.js";
import { distances, textOf } from "./shapes.js";

const HOTTEST = 100; // the highest temperature that the server takes

/** What can be changed: its name in a request, in words, and what then stays as it was. */
const CHANGES = {
  edit: { word: "What was said", stays: "the other tokens of the prompt, the way they were fed, the seed" },
  note: { word: "The memories it was given", stays: "what was said, the way it was fed, the seed" },
  no_note: { word: "No memories at all", stays: "what was said, the way it was fed, the seed" },
  seed: { word: "The seed", stays: "all of the prompt, the way it was fed, the temperature" },
  temperature: { word: "The temperature", stays: "all of the prompt, the way it was fed, the seed" },
};

/** A number as people write it, with a point or a comma; null for what is none. */
function numberIn(text) {
  const value = text.trim() ? Number(text.trim().replace(",", ".")) : NaN;
  return Number.isFinite(value) ? value : null;
}

/** What is sent for a change; null where its field holds nothing that can be sent. */
function bodyOf(change, values) {
  if (change === "no_note") return { no_note: true };
  if (change === "seed" || change === "temperature") {
    const value = numberIn(values[change]);
    const allowed = value !== null && value >= 0 && (change === "seed" || value <= HOTTEST);
    return allowed ? { [change]: value } : null;
  }
  return values[change].trim() ? { [change]: values[change] } : null;
}

export function WhatIf({ trace }) {
  const [change, setChange] = useState("edit");
  const [values, setValues] = useState(() => ({
    edit: textOf(trace, ["message", "user"]).trim(),
    note: textOf(trace, ["note"]),
    seed: String(trace.seed + 1),
    temperature: "0.8",
  }));
  const [found, setFound] = useState(null);
  const set = (name) => (value) => setValues((before) => ({ ...before, [name]: value }));
  const body = bodyOf(change, values);
  const run = useAction(async (sent) => {
    setFound(null);
    setFound(await runJob(`/traces/${part(trace.id)}/replay`, sent));
  });
  const ask = (event) => {
    event.preventDefault();
    if (body) run.run(body);
  };
  return html`<section class="stack" aria-label="What if">
    <p class="soft">Everything else stays: ${CHANGES[change].stays}. Nothing of it is stored.</p>
    <form class="stack" onSubmit=${ask}>
      <div class="row bottom">
        <${Choice} label="What is changed" value=${change} onChange=${setChange}
          options=${Object.entries(CHANGES).map(([name, { word }]) => [name, word])} />
        <${Changed} change=${change} values=${values} set=${set} valid=${body !== null} />
      </div>
      ${change === "edit"
        ? html`<${Lines} label="What was said instead" value=${values.edit} onInput=${set("edit")} />` : null}
      ${change === "note"
        ? html`<${Lines} label="The note of memories instead" rows="3" placeholder="One memory a line"
            value=${values.note} onInput=${set("note")} />`
        : null}
      <div class="row"><button disabled=${run.busy || !body}>Run both</button>
        <button type="button" class="quiet" disabled=${run.busy} onClick=${() => run.run({})}>Verify as it was</button>
      </div>
    </form>
    ${run.busy ? html`<${Busy} what="Running it again" />` : null}
    <${Trouble} problem=${run.problem} />
    ${found?.verdict ? html`<${Verdict} report=${found} />` : found ? html`<${Difference} found=${found} />` : null}
  </section>`;
}

/** The field of a number that is changed, beside the choice of what is. */
function Changed({ change, values, set, valid }) {
  if (change === "seed") {
    return html`<${Text} label="Seed" value=${values.seed} inputmode="numeric"
      onInput=${(value) => set("seed")(value.replace(/\D/g, "").slice(0, 15))} />`;
  }
  if (change === "temperature") {
    return html`<${Text} label="Temperature" hint=${`a number from 0 to ${HOTTEST}`} inputmode="decimal"
      value=${values.temperature} aria-invalid=${String(!valid)} onInput=${set("temperature")} />`;
  }
  return null;
}

function Difference({ found }) {
  const apart = useMemo(() => distances(found.divergence), [found]);
  return html`<p role="status">${found.explanation}</p>
    <div class="answers two">
      <${Reply} word="As it was" run=${found.before} /><${Reply} word="Changed" run=${found.after} />
    </div>
    <h3>Token by token</h3>
    <${Tokens} pairs=${found.tokens} />
    ${apart.columns.length
      ? html`<h3>How far the activations of shared tokens are apart</h3>
          <${HeatMap} map=${apart} name="Distance" about=${`${found.trace_id}: ${found.explanation}`}
            file=${`${found.trace_id}-what-if`} />`
      : null}`;
}

function Reply({ word, run }) {
  return html`<div class="reply"><p class="speaker small">${word} · seed ${run.seed}</p>
    <p class="all-words" dir="auto">${run.reply}</p></div>`;
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
  return html`<p class="token-text mono" dir="auto">${runs.map((run, at) =>
    run.kind === "same"
      ? html`<span key=${at} class=${run.in_prompt ? "soft" : ""}>${run.was}</span>`
      : html`${run.was ? html`<del key=${`${at} was`}>${token(run.was)}</del>` : null}${
          run.is ? html`<ins key=${`${at} is`}>${token(run.is)}</ins>` : null}`,
  )}</p>`;
}
