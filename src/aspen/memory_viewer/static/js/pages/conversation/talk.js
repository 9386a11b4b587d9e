// What is being said just now. It lives beside the page, so that a reply goes on while one looks at another page.

import { useEffect, useState } from "../../../vendor/view.js";
import { events, Problem } from "../../api.js";

const talks = new Map();
const told = new Map(); // by trace: what a reply told that its stored turn does not
const listeners = new Set();

const tellAll = () => listeners.forEach((listener) => listener({}));

/** What is being answered in a conversation, or was last; null where nothing is. */
export function useTalk(conversation) {
  const [, redraw] = useState(null);
  useEffect(() => {
    listeners.add(redraw);
    return () => listeners.delete(redraw);
  }, []);
  return talks.get(conversation) ?? null;
}

/** What a reply told beside what is stored of its turn: `{reply, without}`, as long as the window is open. */
export const toldBeside = (traceId) => told.get(traceId);

/** The reply of a talk that was stored; undefined where none was. */
export const stored = ({ replies }) =>
  ["with", "without"].map((side) => replies[side]?.reply).find((reply) => reply?.trace_id);

/** A seed below 2**32 from the browser's secure source: two replies side by side have to share one. */
export const drawSeed = () => crypto.getRandomValues(new Uint32Array(1))[0];

/**
 * Say something. `sides` are "with", "without" or both, answered one after the other with one seed. The one without
 * memory goes first and is not kept, so that both see the same history.
 */
export async function say(conversation, message, { sides, options }) {
  const breaking = new AbortController();
  const empty = { text: "", state: "waiting", reply: null, problem: null };
  const replies = Object.fromEntries(sides.map((side) => [side, { ...empty }]));
  const talk = { conversation, message, replies, busy: true, stop: () => breaking.abort() };
  talks.set(conversation, talk);
  tellAll();
  for (const side of [...sides].sort().reverse()) {
    await answer(talk, side, { ...options, conversation, message }, breaking.signal);
    if (breaking.signal.aborted) break;
  }
  talk.busy = false;
  const kept = stored(talk);
  if (kept) told.set(kept.trace_id, { reply: kept, without: talk.replies.with && talk.replies.without?.reply });
  tellAll();
}

async function answer(talk, side, body, signal) {
  const mine = talk.replies[side];
  const without = side === "without";
  const alone = Object.keys(talk.replies).length === 1;
  mine.state = "reading";
  tellAll();
  try {
    await events("POST", "/chat", {
      body: { ...body, memory: !without, remember: body.remember && (!without || alone) },
      signal,
      onEvent: (name, data) => {
        if (name === "token") {
          mine.text += data.text;
          mine.state = "writing";
        } else if (name === "reply") {
          mine.reply = data;
          mine.text = data.text;
        } else if (name === "error") throw new Problem(data);
        tellAll();
      },
    });
    mine.state = mine.reply ? "done" : "stopped";
    if (!mine.reply) {
      mine.problem = new Problem({
        title: "The reply broke off",
        detail: "The reply broke off before it was whole; nothing of it is stored.",
        hint: "Send it once more. What `aspen serve` printed may say why.",
      });
    }
  } catch (problem) {
    mine.state = "stopped";
    if (problem.name !== "AbortError") mine.problem = problem;
  }
  tellAll();
}

/** Forget what was answered: the stored turn stands in its place. */
export function settle(conversation) {
  talks.delete(conversation);
  tellAll();
}
