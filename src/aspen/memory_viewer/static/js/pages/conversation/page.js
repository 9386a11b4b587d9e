// Conversations as they happened, with what stands behind each reply, and a box to go on talking.

import { html, useEffect, useRef, useState } from "../../../vendor/view.js";
import { get, part } from "../../api.js";
import { counted } from "../../format.js";
import { Busy, Empty, tell, Trouble } from "../../parts/feedback.js";
import { Choice } from "../../parts/fields.js";
import { useAction, useLoaded } from "../../parts/hooks.js";
import { AllWords } from "../../parts/memories.js";
import { address, go } from "../../router.js";
import { Composer } from "./composer.js";
import { useLastInView } from "./in_view.js";
import { say, settle, stored, toldBeside, useTalk } from "./talk.js";
import { onlyTold, turnOf, Why } from "./why.js";

const TURNS = 20;
const FIRST = "default"; // the conversation that a chat goes to where none is named

export function Page({ place }) {
  const conversations = useLoaded((signal) => get("/conversations", {}, { signal }), []);
  const known = conversations.value?.items ?? [];
  const chosen = place.rest[0] ?? known[0]?.name ?? FIRST;
  const named = known.some(({ name }) => name === chosen) ? known : [{ name: chosen, memories: 0 }, ...known];
  if (conversations.problem) {
    return html`<h1>Conversation</h1>
      <${Trouble} problem=${conversations.problem} again=${conversations.reload} />`;
  }
  if (!conversations.value) return html`<h1 class="unseen">Conversation</h1><${Busy} />`;
  return html`<div class="conversation">
    <h1 class="unseen">Conversation</h1>
    <${Conversations} known=${named} chosen=${chosen} />
    <${Turns} key=${chosen} name=${chosen} begun=${known.some(({ name }) => name === chosen)}
      onChange=${conversations.reload} />
  </div>`;
}

function Conversations({ known, chosen }) {
  const [name, setName] = useState("");
  const begin = (event) => {
    event.preventDefault();
    const wanted = name.trim();
    if (/^\.{1,2}$/.test(wanted)) return tell("“.” and “..” mean places in an address; take another name.");
    if (wanted) go(address("conversation", [wanted]));
    return setName("");
  };
  return html`<div class="conversations">
    <nav aria-label="Conversations">
      <ul>
        ${known.map(
          (one) => html`<li key=${one.name}>
            <a href=${address("conversation", [one.name])} aria-current=${one.name === chosen ? "page" : undefined}>
              <span dir="auto">${one.name}</span>
              <span class="small soft">${one.memories ? counted(one.memories, "memory", "memories") : "new"}</span>
            </a>
          </li>`,
        )}
      </ul>
    </nav>
    <div class="choose">
      <${Choice} label="Conversation" hidden value=${chosen} options=${known.map(({ name: one }) => one)}
        onChange=${(one) => go(address("conversation", [one]))} />
    </div>
    <form class="row" onSubmit=${begin}>
      <input class="grow" type="text" aria-label="Name of a new conversation" placeholder="New conversation"
        value=${name} onInput=${(event) => setName(event.currentTarget.value)} />
      <button class="quiet icon" aria-label="Begin it" title="Begin it" disabled=${!name.trim()}>+</button>
    </form>
  </div>`;
}

function Turns({ name, begun, onChange }) {
  const path = `/conversations/${part(name)}/turns`;
  const [turns, setTurns] = useState([]);
  const [next, setNext] = useState(undefined); // cursor of the turns before; undefined until it is known
  const newest = useLoaded(
    (signal) => (begun ? get(path, { limit: TURNS }, { signal }) : Promise.resolve({ items: [], next: null })),
    [],
  );
  const talk = useTalk(name);
  const list = useRef(null);

  useEffect(() => {
    if (!newest.value) return;
    setTurns((before) => merged(before, newest.value.items));
    setNext((before) => (before === undefined ? newest.value.next : before));
  }, [newest.value]);
  const older = useAction(async () => {
    const more = await get(path, { limit: TURNS, cursor: next });
    setTurns((before) => merged(before, more.items));
    setNext(more.next);
  });
  // A reply may have ended while another page was shown: whoever shows the conversation then takes its turn over.
  const answered = Boolean(talk && !talk.busy && stored(talk));
  const take = useAction(async () => {
    const newer = await get(path, { limit: TURNS });
    // All at once, so that the page does not become shorter in between.
    newest.setValue(newer);
    setTurns((before) => merged(before, newer.items));
    settle(name);
    onChange();
  });
  useEffect(() => {
    if (answered) take.run();
  }, [answered]);

  const loaded = Boolean(newest.value && turns.length >= newest.value.items.length);
  useLastInView(list, { talk, loaded });

  const nothing = newest.value && !turns.length && !newest.value.items.length && !talk;
  return html`<section class="talk" aria-label=${`Conversation ${name}`}>
    <div class="turns" ref=${list} role="log" aria-busy=${Boolean(talk?.busy)}>
      ${next
        ? html`<button class="quiet" disabled=${older.busy} onClick=${() => older.run()}>Show earlier turns</button>`
        : null}
      ${newest.busy && !newest.value ? html`<${Busy} />` : null}
      <${Trouble} problem=${newest.problem} again=${newest.reload} />
      <${Trouble} problem=${older.problem ?? take.problem} again=${take.problem ? take.run : older.run} />
      ${nothing ? html`<${Beginning} />` : null}
      ${turns.map((turn) => {
        const told = toldBeside(turn.trace?.id);
        const whole = told ? { ...turn, ...onlyTold(told.reply) } : turn;
        return html`<${Turn} key=${idOf(turn)} turn=${whole} without=${told?.without} />`;
      })}
      ${talk ? html`<${Talking} talk=${talk} />` : null}
    </div>
    <${Composer} busy=${Boolean(talk?.busy)} onStop=${() => talk.stop()}
      onSay=${(message, how) => say(name, message, how)} />
  </section>`;
}

const idOf = ({ said, reply }) => (said ?? reply).id;

/** Turns by their place in the conversation, each once; of one that is in both, the newer. */
function merged(before, newer) {
  const turns = new Map([...before, ...newer].map((turn) => [idOf(turn), turn]));
  return [...turns.values()].sort((one, other) => (one.said ?? one.reply).seq - (other.said ?? other.reply).seq);
}

function Beginning() {
  return html`<${Empty} title="Nothing was said here yet">
    <p>Tell it something below, such as “My sister Mara moved to Lisbon in March.” Then ask about it, side by side with
    and without memory. What was remembered elsewhere is found from here as well.</p>
    <p class="row"><a class="button quiet" href="/memories/transfer">Import memories from a file</a></p>
  <//>`;
}

function Said({ text, speaker }) {
  return html`<div class="said"><p class="speaker small">${speaker || "user"}</p><${AllWords} text=${text} /></div>`;
}

/** One answer. `plain` is that without memory; `state` is told beside who answers. */
function Answer({ speaker, state = "", plain = false, children }) {
  return html`<div class=${plain ? "reply plain" : "reply"}>
    <p class="speaker small">${speaker}<span class="soft">${state ? ` · ${state}` : ""}</span></p>
    ${children}
  </div>`;
}

function Turn({ turn, without }) {
  return html`<article class="turn">
    ${turn.said ? html`<${Said} text=${turn.said.text} speaker=${turn.said.speaker} />` : null}
    ${turn.reply
      ? html`<div class=${without ? "answers two" : "answers"}>
          <${Answer} speaker=${without ? SIDES.with : turn.reply.speaker || "assistant"}>
            <${AllWords} text=${turn.reply.text} /><//>
          ${without ? html`<${Answer} speaker=${SIDES.without} plain><${AllWords} text=${without.text} /><//>` : null}
        </div>
        <${Why} turn=${turn} />`
      : null}
  </article>`;
}

const SIDES = { with: "With memory", without: "Without memory" };
const STATES = { waiting: "Waiting for its turn", reading: "Reading", writing: "Writing", stopped: "Stopped" };

const Waiting = () => html`<p class="waiting"><span class="dots" aria-hidden="true"></span></p>`;

/**
 * What is being answered: each side as it comes, and what the last reply stood on where it was not stored. Where it
 * was, the stored turn tells that as soon as it takes this place: links that stood here would vanish under the focus.
 */
function Talking({ talk }) {
  const sides = Object.entries(talk.replies);
  const told = stored(talk) ? null : talk.replies.with?.reply;
  return html`<article class="turn">
    <${Said} text=${talk.message} speaker="user" />
    <div class=${sides.length > 1 ? "answers two" : "answers"}>
      ${sides.map(
        ([side, one]) => html`<${Answer} key=${side} speaker=${SIDES[side]} state=${STATES[one.state]}
          plain=${side === "without"}>
          ${one.text ? html`<${AllWords} text=${one.text} />` : null}
          ${one.text || one.state === "stopped" ? null : html`<${Waiting} />`}
          <${Trouble} problem=${one.problem} /><//>`,
      )}
    </div>
    ${told && !talk.busy ? html`<${Why} turn=${turnOf(told, talk.message)} />` : null}
  </article>`;
}
