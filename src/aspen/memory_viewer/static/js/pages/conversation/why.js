// Beside a reply: which memories were fed back, by what strategy, at what cost, and whether a replay gives the same.

import { html } from "../../../vendor/view.js";
import { counted, day, percent, saidAt, seconds, words } from "../../format.js";
import { MemoryLine } from "../../parts/memories.js";
import { Replay } from "../../parts/replay.js";
import { address } from "../../router.js";

const FAMILIAR = 0.3; // from here on a recall says something about the message

/** The best guess at what a reply stands on, in one line. */
function Feeling({ familiarity, memories, best }) {
  const told = familiarity !== null && familiarity !== undefined;
  const known = memories.length && (!told || familiarity >= FAMILIAR);
  if (!known && !told) return null;
  const like = best ? html`This feels like <strong>${day(saidAt(best))}</strong>` : "This feels familiar";
  return html`<p class="feeling">
    ${known ? like : "Nothing here feels familiar"}
    ${told ? html`<span class="soft small"> · familiarity ${percent(familiarity)}</span>` : null}
  </p>`;
}

/** The memory that scored best in the recall. Older recordings do not name it: then there is one where it is alone. */
function bestOf(injection, injected) {
  const alone = injection?.memory_ids.length === 1 ? injected[0] : null;
  return injected.find(({ id }) => id === injection?.best) ?? alone;
}

const byDate = (memories) =>
  [...memories].sort((one, other) => new Date(saidAt(one)) - new Date(saidAt(other)) || one.seq - other.seq);

/** The memories that came back into the prompt; in order of date, as the model was told them. */
function Given({ memories, best }) {
  const many = memories.length > 1;
  return html`<h2>${many ? `The ${memories.length} memories it was given, by date` : "The memory it was given"}</h2>
    <ul class="given">${byDate(memories).map(
      (memory) => html`<li key=${memory.id}><${MemoryLine} memory=${memory}>
        ${many && memory === best ? html`<span>· the best match</span>` : null}<//></li>`,
    )}</ul>`;
}

/** Everything about one reply; `turn` as the API tells it. */
export function Why({ turn }) {
  const { injection, injected = [] } = turn;
  const traceId = turn.trace?.id;
  if (!traceId && !injection && !turn.trace_error) return html`<${NotRecorded} />`;
  const gone = (injection?.memory_ids.length ?? 0) - injected.length;
  const best = bestOf(injection, injected);
  const cut = turn.finish_reason === "length" ? ", cut" : "";
  const facts = [
    ["Strategy", injection ? strategy(injection) : "none"],
    ["Memories take", injection ? counted(injection.tokens, "token") : null],
    ["Prompt", turn.prompt_tokens ? counted(turn.prompt_tokens, "token") : null],
    ["Reply", turn.reply_tokens ? counted(turn.reply_tokens, "token") + cut : null],
    ["Reading", seconds(turn.prefill_seconds)],
    ["Writing", seconds(turn.decode_seconds)],
    ["In all", seconds(turn.seconds)],
    ["Seed", turn.seed === null || turn.seed === undefined ? null : String(turn.seed)],
  ].filter(([, value]) => value);
  return html`<div class="why" role="group" aria-label="Why it answered so">
    <${Feeling} familiarity=${turn.familiarity} memories=${injected} best=${best} />
    ${injected.length
      ? html`<${Given} memories=${injected} best=${best} />`
      : html`<p class="soft">${gone ? "The memories it was given are forgotten." : "It was given no memory."}</p>`}
    ${gone && injected.length
      ? html`<p class="small soft">and ${gone} that ${gone === 1 ? "is" : "are"} forgotten</p>`
      : null}
    ${turn.trace_error ? html`<p class="small">The recording cannot be shown: ${turn.trace_error}</p>` : null}
    ${injection?.reason ? html`<p class="small soft">${injection.reason}</p>` : null}
    <dl class="facts small">${facts.map(
      ([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`,
    )}</dl>
    <div class="row">
      ${traceId ? html`<${Replay} traceId=${traceId} />` : null}
      ${turn.said ? html`<a class="button quiet" href=${address("recall", [], recallOf(turn))}>Why these?</a>` : null}
      ${traceId ? html`<a class="button quiet" href=${address("trace", [traceId])}>Open trace</a>` : null}
    </div>
  </div>`;
}

/**
 * The recall of a turn, asked again of what was there before it. A bound in time leaves out what has no time: where
 * some of the memories have none, all are asked.
 */
function recallOf({ said, injected = [] }) {
  return { prompt: said.text, until: injected.every((memory) => memory.said_at) ? said.said_at : null };
}

/** A reply of which nothing is known but its words. */
function NotRecorded() {
  return html`<div class="why"><p class="small soft">Nothing is known of how this reply came about: it was not recorded
    here, or its recording was forgotten together with a memory that stood in it.</p></div>`;
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
  const trace = reply.trace_id ? { id: reply.trace_id } : null;
  return { ...reply, ...onlyTold(reply), said: { text: message }, injected, trace };
}
