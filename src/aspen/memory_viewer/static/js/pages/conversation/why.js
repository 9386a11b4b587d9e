// Beside a reply: which memories were fed back, by what strategy, at what cost, and whether a replay gives the same.

import { html, useState } from "../../../vendor/view.js";
import { part, runJob } from "../../api.js";
import { counted, day, percent, saidAt, seconds, words } from "../../format.js";
import { Busy, Trouble } from "../../parts/feedback.js";
import { useAction } from "../../parts/hooks.js";
import { MemoryLine } from "../../parts/memories.js";
import { address } from "../../router.js";

const FAMILIAR = 0.3; // from here on a recall says something about the message

/** The best guess at what a reply stands on, in one line. */
function Feeling({ familiarity, memories }) {
  const told = familiarity !== null && familiarity !== undefined;
  const known = memories.length && (!told || familiarity >= FAMILIAR);
  if (!known && !told) return null;
  return html`<p class="feeling">
    ${known ? html`This feels like <strong>${day(saidAt(memories[0]))}</strong>` : "Nothing here feels familiar"}
    ${told ? html`<span class="soft small"> · familiarity ${percent(familiarity)}</span>` : null}
  </p>`;
}

/** What a replay found: the same bit for bit, or the first difference. */
export function Verdict({ report }) {
  const same = report.verified ?? report.verdict === "verified";
  return html`<p class=${same ? "verdict good" : "verdict bad"} role="status">
    <span aria-hidden="true">${same ? "✓" : "≠"}</span>
    <span>${report.explanation || words(report.verdict)}</span>
  </p>`;
}

/** A button that runs an inference again and says whether everything came out the same. */
export function Replay({ traceId }) {
  const [report, setReport] = useState(null);
  const replay = useAction(async () => setReport(await runJob(`/traces/${part(traceId)}/replay`, {})));
  return html`
    ${report ? html`<${Verdict} report=${report} />` : null}
    ${replay.busy ? html`<${Busy} what="Running it again" />` : null}
    <${Trouble} problem=${replay.problem} />
    <button class="quiet" disabled=${replay.busy} onClick=${() => replay.run()}>${report ? "Replay again" : "Replay"}</button>
  `;
}

/** Everything about one reply; `turn` as the API tells it. */
export function Why({ turn }) {
  const { injection, injected = [] } = turn;
  const traceId = turn.trace?.id;
  if (!traceId && !injection && !turn.trace_error) return html`<${NotRecorded} />`;
  const gone = (injection?.memory_ids.length ?? 0) - injected.length;
  const facts = [
    ["Strategy", injection ? strategy(injection) : "none"],
    ["Memories take", injection ? counted(injection.tokens, "token") : null],
    ["Prompt", turn.prompt_tokens ? counted(turn.prompt_tokens, "token") : null],
    ["Reply", turn.reply_tokens ? `${counted(turn.reply_tokens, "token")}${turn.finish_reason === "length" ? ", cut" : ""}` : null],
    ["Reading", seconds(turn.prefill_seconds)],
    ["Writing", seconds(turn.decode_seconds)],
    ["In all", seconds(turn.seconds)],
    ["Seed", turn.seed === null || turn.seed === undefined ? null : String(turn.seed)],
  ].filter(([, value]) => value);
  return html`<div class="why" role="group" aria-label="Why it answered so">
    <${Feeling} familiarity=${turn.familiarity} memories=${injected} />
    ${injected.length
      ? html`<h2>${injected.length === 1 ? "The memory" : `The ${injected.length} memories`} it was given</h2>
          <ul class="given">${injected.map((memory) => html`<li key=${memory.id}><${MemoryLine} memory=${memory} /></li>`)}</ul>`
      : html`<p class="soft">${gone ? "The memories it was given are forgotten." : "It was given no memory."}</p>`}
    ${gone && injected.length ? html`<p class="small soft">and ${gone} that ${gone === 1 ? "is" : "are"} forgotten</p>` : null}
    ${turn.trace_error ? html`<p class="small">The recording cannot be shown: ${turn.trace_error}</p>` : null}
    ${injection?.reason ? html`<p class="small soft">${injection.reason}</p>` : null}
    <dl class="facts small">${facts.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
    <div class="row">
      ${traceId ? html`<${Replay} traceId=${traceId} />` : null}
      ${turn.said ? html`<a class="button quiet" href=${address("recall", [], recallOf(turn))}>Why these?</a>` : null}
      ${traceId ? html`<a class="button quiet" href=${address("trace", [traceId])}>Open trace</a>` : null}
    </div>
  </div>`;
}

/**
 * The recall of a turn, asked again of what was there before it. A bound in time leaves out what has no time: where some of
 * the memories have none, all are asked.
 */
function recallOf({ said, injected = [] }) {
  return { prompt: said.text, until: injected.every((memory) => memory.said_at) ? said.said_at : null };
}

/** A reply of which nothing is known but its words. */
function NotRecorded() {
  return html`<div class="why"><p class="small soft">Nothing is known of how this reply came about: it was not recorded here, or
    its recording was forgotten together with a memory that stood in it.</p></div>`;
}

function strategy({ strategy: done, asked }) {
  return asked && asked !== done ? `${words(done)} (asked: ${words(asked)})` : words(done);
}

/** What a reply itself tells, and a stored turn does not: how long reading and writing took. */
export function onlyTold({ recall, prefill_seconds: reading, decode_seconds: writing }) {
  return { familiarity: recall?.familiarity ?? null, prefill_seconds: reading, decode_seconds: writing };
}

/** A reply that was not stored, as a turn. */
export function turnOf(reply, message) {
  const injected = (reply.recall?.hits ?? [])
    .map((hit) => hit.memory)
    .filter((memory) => reply.injection?.memory_ids.includes(memory.id));
  return { ...reply, ...onlyTold(reply), said: { text: message }, injected, trace: reply.trace_id ? { id: reply.trace_id } : null };
}
