// The recall inspector: ask, see why each memory came, move a slider and see what moves.

import { html, useEffect, useRef, useState } from "../../../vendor/view.js";
import { post } from "../../api.js";
import { time } from "../../format.js";
import { Busy, Empty, Trouble } from "../../parts/feedback.js";
import { useLoaded, useRested } from "../../parts/hooks.js";
import { address, go } from "../../router.js";
import { asked, bodyOf, loadPresets, queryOf } from "./asking.js";
import { Controls } from "./controls.js";
import { CopyLink } from "./copy_link.js";
import { Found, Strip } from "./found.js";
import { Hits, movedBetween } from "./hits.js";

export function Page({ place }) {
  const presets = useLoaded(loadPresets, []);
  const recall = asked(place.query);
  const change = (to, { replace = true } = {}) => go(address("recall", [], queryOf(to)), { replace });
  return html`<div>
    <div class="title"><h1>Recall</h1>
      <p>What comes back for a prompt, and why. The address keeps the view: send it to look at the same.</p></div>
    <${Prompt} recall=${recall} onAsk=${(prompt) => change({ ...recall, prompt }, { replace: false })} />
    <${When} recall=${recall} />
    <${Trouble} problem=${presets.problem} again=${presets.reload} />
    ${presets.value
      ? html`<div class="inspector"><${Controls} recall=${recall} presets=${presets.value} onChange=${change} />
          <${Result} recall=${recall} presets=${presets.value} /></div>`
      : null}
  </div>`;
}

/** Of what time the memories are that may come back, and the way to all of them. */
function When({ recall }) {
  const { since, until } = recall;
  if (!since && !until) return null;
  const before = until ? `before ${time(until)}` : "";
  const from = since ? `from ${time(since)} on` : "";
  const all = address("recall", [], queryOf({ ...recall, since: "", until: "" }));
  return html`<p class="of-time small"><span>only what was known ${[from, before].filter(Boolean).join(" and ")}</span>
    <span aria-hidden="true"> · </span><a href=${all}>all<span class="unseen"> memories, of any time</span></a></p>`;
}

export function Prompt({ recall, onAsk, word = "Recall" }) {
  const [prompt, setPrompt] = useState(recall.prompt);
  useEffect(() => setPrompt(recall.prompt), [recall.prompt]);
  const ask = (event) => {
    event.preventDefault();
    if (prompt.trim()) onAsk(prompt.trim());
  };
  return html`<form class="row ask" role="search" onSubmit=${ask}>
    <input class="grow" type="search" aria-label="Prompt" value=${prompt}
      placeholder="What should be remembered? Such as: where does my sister live"
      onInput=${(event) => setPrompt(event.currentTarget.value)} />
    <button disabled=${!prompt.trim()}>${word}</button>
  </form>`;
}

/** Everything that decides the result, but for how activation spreads: with another one there is nothing to compare. */
const subject = ({ spreading, preset, ...rest }) => JSON.stringify(rest);

function Result({ recall, presets }) {
  const body = useRested(bodyOf(recall, presets[recall.preset]?.settings), 120);
  const result = useLoaded(
    (signal) => (body.prompt ? post("/recall", body, { signal }) : Promise.resolve(null)),
    [JSON.stringify(body)],
  );
  const [base, setBase] = useState(null);
  const [marked, setMarked] = useState(null);
  const about = useRef(null);
  const found = result.value;
  useEffect(() => {
    if (!found || result.busy) return;
    if (about.current !== subject(recall)) setBase(found);
    about.current = subject(recall);
  }, [found]);

  if (!recall.prompt) return html`<${Beginning} />`;
  if (result.problem) return html`<${Trouble} problem=${result.problem} again=${result.reload} />`;
  if (!found) return html`<${Busy} what="Recalling" />`;
  const comparable = base && base !== found && about.current === subject(recall);
  const moved = comparable ? movedBetween(base.hits, found.hits) : null;
  return html`<div class="result stack" aria-busy=${result.busy}>
    <div class="row spaced"><${Strip} recall=${found} />
      <div class="row">
        ${moved ? html`<button class="quiet" onClick=${() => setBase(found)}>Compare from here</button>` : null}
        <${CopyLink} key=${JSON.stringify(recall)} />
        <a class="button quiet" href=${address("graph", [], queryOf(recall))}>Play the hops</a>
      </div>
    </div>
    <p class="unseen" role="status">${result.busy ? "" : summary(found, moved)}</p>
    ${found.hits.length
      ? html`<${Hits} recall=${found} moved=${moved} marked=${marked} onMark=${setMarked} />`
      : html`<${Nothing} recall=${recall} found=${found} />`}
    ${found.explanation ? html`<${Found} recall=${found} marked=${marked} onMark=${setMarked} />` : null}
  </div>`;
}

function Nothing({ recall, found }) {
  const chosen = recall.types.length || recall.since || recall.until;
  if (found.candidates === 0 && !chosen) {
    return html`<${Empty} title="Nothing is remembered yet">
      <p><a href="/conversation">Talk to the agent</a>, or <a href="/memories/transfer">import memories</a>.</p><//>`;
  }
  const ofTime = recall.since || recall.until ? " and the time above" : "";
  return html`<${Empty} title="Nothing came back">
    <p>No memory passes what is chosen on the left${ofTime}. Allow more types, or${" "}
      <a href="/memories/transfer">import memories</a>.</p><//>`;
}

function summary(found, moved) {
  const changed = moved ? [...moved.by.values()].filter((by) => by !== 0).length : 0;
  return `${found.hits.length} hits.${moved ? ` ${changed} moved, ${moved.gone.length} no longer among them.` : ""}`;
}

function Beginning() {
  const examples = ["How do I handle creative burnout?", "Where does my sister live?", "What did I decide last week?"];
  return html`<${Empty} title="Ask for something">
    <p>Aspen reads half of the model's way through the prompt, and holds what it computes against every memory.</p>
    <p class="row">${examples.map(
      (prompt) => html`<a key=${prompt} class="button quiet" href=${address("recall", [], { prompt })}>${prompt}</a>`,
    )}</p>
  <//>`;
}
