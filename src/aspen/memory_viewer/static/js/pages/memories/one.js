// One memory: what it says, how it stands, what it stands between; and everything that can be done with it.

import { html, useState } from "../../../vendor/view.js";
import { part, patch, post, remove } from "../../api.js";
import { count, counted, cut, fixed, saidAt, time } from "../../format.js";
import { Busy, tell, Trouble } from "../../parts/feedback.js";
import { useAction, useLoaded } from "../../parts/hooks.js";
import { MADE, TypeMark } from "../../parts/marks.js";
import { AllWords, loadMemory, memoryAddress, MemoryLine, Priority } from "../../parts/memories.js";
import { directed, eachOnce, relationKey, wayBack } from "../../parts/relations.js";
import { address, go } from "../../router.js";
import { Correct, Edit, Forget } from "./changing.js";
import { Relate } from "./relate.js";

const LISTED = 50; // relations; a memory that much leads to may have thousands

export function OneMemory({ id }) {
  const path = `/memories/${part(id)}`;
  const loaded = useLoaded((signal) => loadMemory(path, signal), [id]);
  const { value } = loaded;
  return html`<div>
    <p class="small upwards"><a href="/memories">All memories</a></p>
    <h1 class="unseen">Memory</h1>
    <${Trouble} problem=${loaded.problem} again=${loaded.reload} />
    ${value ? html`<${Shown} key=${value.memory.version} ...${value} path=${path} reload=${loaded.reload} />` : null}
    ${value || loaded.problem ? null : html`<${Busy} />`}
  </div>`;
}

function Shown({ memory, relations, history, traces, path, reload }) {
  const [doing, setDoing] = useState(null);
  const close = () => setDoing(null);
  const done = () => {
    close();
    reload();
  };
  const pinned = memory.stability === "canonical" && memory.importance === 1;
  const pin = useAction(async () => {
    const before = { stability: memory.stability, importance: memory.importance };
    const wanted = pinned ? { stability: "stable", importance: 0.6 } : { stability: "canonical", importance: 1 };
    const after = await patch(path, wanted, memory);
    const undo = () => patch(path, before, after).then(reload);
    tell(pinned ? "No longer pinned." : "Pinned: canonical, and as important as can be.", { undo });
    reload();
  });
  const restore = useAction(async () => {
    await post(`${path}/restore`);
    tell("It holds again.");
    reload();
  });
  const change = { memory, path, onClose: close, onDone: done, reload };
  return html`<div class="one-memory">
    <div class="stack">
      <div class="row"><${TypeMark} type=${memory.type} /><${Priority} value=${memory.priority} />
        ${pinned ? html`<span class="small">Pinned</span>` : null}</div>
      <div class="memory-text"><${AllWords} text=${memory.text} /></div>
      ${memory.corrected_by
        ? html`<div class="notice">
            <p>It was corrected. <a href=${memoryAddress(memory.corrected_by)}>This holds now.</a></p>
            <button class="quiet" disabled=${restore.busy} onClick=${() => restore.run()}>Let this hold again</button>
          </div>`
        : null}
      <${Trouble} problem=${pin.problem ?? restore.problem} again=${reload} />
      <div class="row" role="group" aria-label="What can be done with it">
        ${memory.corrected_by ? null : html`<button onClick=${() => setDoing("correct")}>Correct</button>`}
        <button class="quiet" onClick=${() => setDoing("edit")}>Edit</button>
        <button class="quiet" aria-pressed=${pinned} disabled=${pin.busy}
          onClick=${() => pin.run()}>${pinned ? "Unpin" : "Pin"}</button>
        <button class="quiet" onClick=${() => setDoing("relate")}>Relate</button>
        <a class="button quiet" href=${address("graph", [memory.id])}>Show in the graph</a>
        <button class="danger" onClick=${() => setDoing("forget")}>Forget</button>
      </div>
      <${Relations} memory=${memory} relations=${eachOnce(relations)} reload=${reload} />
      ${history.length > 1 ? html`<${History} memory=${memory} history=${history} />` : null}
    </div>
    <${Aside} memory=${memory} traces=${traces} />
    ${doing === "edit" ? html`<${Edit} ...${change} />` : null}
    ${doing === "correct" ? html`<${Correct} ...${change} />` : null}
    ${doing === "relate" ? html`<${Relate} ...${change} />` : null}
    ${doing === "forget"
      ? html`<${Forget} ...${change} before=${history.filter((version) => version.corrected_by === memory.id)} />`
      : null}
  </div>`;
}

function Aside({ memory, traces }) {
  return html`<aside class="card" aria-label="About it">
    <dl class="facts one-column small">${factsOf(memory).map(
      ([name, value]) => html`<div key=${name}><dt>${name}</dt><dd dir="auto">${value}</dd></div>`,
    )}</dl>
    ${traces.length
      ? html`<h3 class="small">Traces it stands in</h3>
          <ul class="small">${traces.slice(0, 10).map((trace) => html`<li key=${trace.id}>
            <a href=${address("trace", [trace.id])} dir="auto">${cut(trace.said ?? trace.id, 60)}</a>
            <span class="soft"> ${time(trace.created_at)}</span></li>`)}</ul>`
      : null}
  </aside>`;
}

function factsOf(memory) {
  const { conversation, emotion } = memory;
  return [
    ["Said by", memory.speaker], ["Said", time(memory.said_at)], ["Stored", time(memory.created_at)],
    ["Conversation", conversation && html`<a href=${address("conversation", [conversation])}>${conversation}</a>`],
    ["Where it comes from", memory.provenance], ["Source", memory.source], ["Stability", memory.stability],
    ["Importance", fixed(memory.importance)], ["Feeling", emotion && `${emotion.label}, ${fixed(emotion.intensity)}`],
    ["Tags", memory.tags.join(", ")], ["Length", counted(memory.token_count, "token")],
    ["Used", memory.access_count ? `${count(memory.access_count)} times, last ${time(memory.accessed_at)}` : "never"],
    ["Edited", memory.version > 1 ? counted(memory.version - 1, "time") : ""], ["Id", html`<code>${memory.id}</code>`],
  ].filter(([, value]) => value);
}

function History({ memory, history }) {
  return html`<section aria-label="History"><h2>History</h2>
    <ol class="lined">${history.map((version) => html`<li key=${version.id}>
      <p class="small soft">${[
        time(saidAt(version)),
        version.id === memory.id ? "this one" : null,
        version.corrected_by ? null : "holds now",
      ].filter(Boolean).join(" · ")}</p>
      <${MemoryLine} memory=${version} /></li>`)}</ol></section>`;
}

function Relations({ memory, relations, reload }) {
  const [all, setAll] = useState(false);
  const gone = useAction(async (relation) => {
    const { source, target, type, weight, provenance } = relation;
    await remove("/relations", { source, target, type });
    const undo = () => post("/relations", { items: [{ source, target, type, weight, provenance }] }).then(reload);
    tell("The relation is removed.", { undo });
    reload();
  });
  return html`<section aria-label="Relations"><h2>Relations</h2>
    <${Trouble} problem=${gone.problem} />
    ${relations.length
      ? html`<ul class="lined">${(all ? relations : relations.slice(0, LISTED)).map(
          (relation) => html`<${Relation} key=${relationKey(relation)} memory=${memory} relation=${relation}
            gone=${gone} />`,
        )}</ul>`
      : html`<p class="soft">Nothing leads from it or to it. Relate it to another memory, so that activation passes
          between them.</p>`}
    ${all || relations.length <= LISTED
      ? null
      : html`<button class="quiet" onClick=${() => setAll(true)}>
          Show all ${count(relations.length)} relations</button>`}
  </section>`;
}

function Relation({ memory, relation, gone }) {
  const { other: id, other_type: type, other_text: text } = relation;
  return html`<li class="relation">
    <span class="small soft">${directed(relation, memory.id)} <br />
      <span class="number">weight ${fixed(relation.weight)}${wayBack(relation)}</span></span>
    <${MemoryLine} memory=${{ id, type, text, provenance: "said", stability: "tentative" }} />
    ${MADE.includes(relation.type)
      ? html`<span></span>`
      : html`<button class="icon" aria-label="Remove this relation" title="Remove this relation"
          disabled=${gone.busy} onClick=${() => gone.run(relation)}>×</button>`}
  </li>`;
}
