// The windows in which a memory is edited, corrected and forgotten.

import { html, useState } from "../../../vendor/view.js";
import { get, patch, post, remove } from "../../api.js";
import { counted, cut, fixed } from "../../format.js";
import { Busy, tell, Trouble } from "../../parts/feedback.js";
import { Choice, Lines, Slider, Text, Window } from "../../parts/fields.js";
import { useAction, useLoaded } from "../../parts/hooks.js";
import { STABILITIES, TYPES } from "../../parts/marks.js";
import { About, AllWords, memoryAddress } from "../../parts/memories.js";
import { go } from "../../router.js";

/**
 * A change of a memory, made by `make(base)` to the version that is looked at. Where somebody else was faster the
 * server refuses it (412): `again` then reads the memory anew, and what was filled in stays. `leave` closes the window.
 */
function useChange(make, { memory, path, onClose, reload }) {
  const [base, setBase] = useState(memory);
  const change = useAction(() => make(base));
  const read = useAction(async () => {
    setBase(await get(path));
    change.clear();
  });
  const stale = change.problem?.status === 412;
  const leave = () => {
    onClose();
    if (stale || base !== memory) reload();
  };
  const problem = read.problem ?? change.problem;
  return { base, run: change.run, busy: change.busy || read.busy, problem, again: stale ? read.run : undefined, leave };
}

function Decide({ change, word, disabled = false }) {
  return html`<div class="row end">
    <button type="button" class="quiet" onClick=${change.leave}>Leave it</button>
    <button disabled=${disabled || change.busy}>${word}</button>
  </div>`;
}

const KEEP = "Keep what stands here, and save it over that";
const KINDS = Object.entries(TYPES).map(([key, { word, meaning }]) => [key, `${word}: ${meaning}`]);
const tagsOf = (text) => [...new Set(text.split(",").map((tag) => tag.trim()).filter(Boolean))];

export function Edit({ memory, path, onClose, onDone, reload }) {
  const [now, setNow] = useState({
    type: memory.type, stability: memory.stability, importance: memory.importance, tags: memory.tags.join(", "),
    label: memory.emotion?.label ?? "", intensity: memory.emotion?.intensity ?? 0.5,
  });
  const set = (name) => (value) => setNow((before) => ({ ...before, [name]: value }));
  const save = async (base) => {
    const { type, stability, importance, emotion } = base;
    const before = { type, stability, importance, tags: base.tags, emotion };
    const felt = now.label.trim() ? { label: now.label.trim(), intensity: now.intensity } : null;
    // A tag may hold a comma itself: those that nobody touched stay as they are.
    const tagged = now.tags === memory.tags.join(", ") ? {} : { tags: tagsOf(now.tags) };
    const wanted = { type: now.type, stability: now.stability, importance: now.importance, emotion: felt, ...tagged };
    const after = await patch(path, wanted, base);
    tell("Saved.", { undo: () => patch(path, before, after).then(reload) });
    onDone();
  };
  const change = useChange(save, { memory, path, onClose, reload });
  const submit = (event) => {
    event.preventDefault();
    change.run();
  };
  return html`<${Window} title="Edit" onClose=${change.leave}>
    <form class="stack" onSubmit=${submit}>
      <p class="small soft">What it says is changed by a correction, so that the old words stay known.</p>
      <div class="settings">
        <${Choice} label="Type" value=${now.type} options=${KINDS} onChange=${set("type")} />
        <${Choice} label="Stability" value=${now.stability} options=${STABILITIES} onChange=${set("stability")} />
        <${Slider} label="Importance" value=${now.importance} min="0" max="1" step="0.05"
          shown=${fixed(now.importance)} onInput=${set("importance")} />
        <${Text} label="Tags" hint="with commas between" value=${now.tags} onInput=${set("tags")} />
        <${Text} label="Feeling" hint="a word, or nothing" value=${now.label} onInput=${set("label")} />
        <${Slider} label="How strong" value=${now.intensity} min="0" max="1" step="0.05"
          shown=${fixed(now.intensity)} onInput=${set("intensity")} />
      </div>
      <${Trouble} problem=${change.problem} again=${change.again} word=${KEEP} />
      <${Decide} change=${change} word="Save" />
    </form>
  <//>`;
}

export function Correct({ memory, path, onClose, reload }) {
  const [text, setText] = useState(memory.text);
  const save = async (base) => {
    const newer = await post(`${path}/correct`, { text: text.trim() }, base);
    const undo = async () => {
      await post(`${path}/restore`);
      go(memoryAddress(memory.id));
    };
    tell("Corrected. The old words stay in its history.", { undo });
    onClose();
    go(memoryAddress(newer.id));
  };
  const change = useChange(save, { memory, path, onClose, reload });
  const submit = (event) => {
    event.preventDefault();
    change.run();
  };
  const same = !text.trim() || text.trim() === memory.text;
  return html`<${Window} title="Correct" onClose=${change.leave}>
    <form class="stack" onSubmit=${submit}>
      <p class="small soft">The new words take its place in every recall. The old ones stay as its history.</p>
      <${Lines} label="What holds instead" rows="3" value=${text} onInput=${setText} />
      <${Trouble} problem=${change.problem} again=${change.again} word=${KEEP} />
      <${Decide} change=${change} word="Correct" disabled=${same} />
    </form>
  <//>`;
}

/** `before` are the versions that it corrected: they hold again once it is gone. */
export function Forget({ memory, path, before, onClose, reload }) {
  const going = useLoaded((signal) => get(`${path}/forgetting`, {}, { signal }), [memory.id]);
  const forget = async (base) => {
    const { forgotten } = await remove(path, {}, base);
    tell(`Forgotten: ${counted(forgotten.memories, "memory", "memories")}, ${counted(forgotten.traces, "trace")}.`);
    go("/memories", { replace: true });
  };
  const change = useChange(forget, { memory, path, onClose, reload });
  const again = change.again && (() => change.again().then(going.reload));
  return html`<${Window} title="Forget for good" onClose=${change.leave}>
    <div class="stack">
      <blockquote><${AllWords} text=${change.base.text} />
        <p class="small soft"><${About} memory=${change.base} /></p></blockquote>
      <${Trouble} problem=${going.problem ?? change.problem} again=${again} word="Look at it as it is now" />
      ${going.value ? html`<${Going} told=${going.value} before=${before} />` : null}
      ${going.value || going.problem ? null : html`<${Busy} what="Looking what goes with it" />`}
      <div class="row end"><button class="quiet" onClick=${change.leave}>Keep it</button>
        <button class="danger" disabled=${!going.value || change.busy} onClick=${() => change.run()}>Forget</button>
      </div>
    </div>
  <//>`;
}

/** What goes with a memory that is forgotten, and what holds again. */
function Going({ told, before }) {
  const goes = [
    [told.traces.length, `${counted(told.traces.length, "trace")} of replies in which it stood`],
    [told.summaries.length, `${counted(told.summaries.length, "pattern")} made of it`],
    [told.relations, `${counted(told.relations, "relation")} from it or to it`],
  ].flatMap(([many, words]) => (many ? [words] : []));
  return html`
    ${goes.length
      ? html`<p>With it go:</p><ul class="going">${goes.map((one) => html`<li key=${one}>${one}</li>`)}</ul>`
      : html`<p>Nothing else goes with it.</p>`}
    ${before.length
      ? html`<p>What it corrected holds again, and is to be forgotten by itself:</p>
          <ul class="going">${before.map(
            (version) => html`<li key=${version.id} dir="auto">${cut(version.text, 120)}</li>`,
          )}</ul>`
      : null}
    <p><strong>This cannot be undone.</strong> It is deleted and overwritten. To change what it says, correct it
      instead.</p>
  `;
}
