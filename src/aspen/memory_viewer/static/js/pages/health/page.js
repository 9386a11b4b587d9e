// How the store, the model and the server are; what runs; and what the doctor says.

import { html, useEffect, useState } from "../../../vendor/view.js";
import { ended, followJob, get, part, post, Problem, remove } from "../../api.js";
import { bytes, count, seconds, time, words } from "../../format.js";
import { Busy, Progress, tell, Trouble } from "../../parts/feedback.js";
import { useAction, useLoaded } from "../../parts/hooks.js";
import { Growth } from "./growth.js";

const REFRESH = 4000; // milliseconds between two looks while the page is open

export function Page() {
  const health = useLoaded((signal) => get("/health", {}, { signal }), []);
  useEffect(() => {
    const timer = setInterval(() => document.visibilityState === "visible" && health.reload(), REFRESH);
    return () => clearInterval(timer);
  }, []);
  const { value } = health;
  return html`<div>
    <div class="title"><h1>Health</h1></div>
    <${Trouble} problem=${health.problem} again=${health.reload} />
    ${value
      ? html`<div class="cards">
          <${Store} store=${value.store} /><${Growth} />
          <${Model} model=${value.model} keys=${value.keys} index=${value.index} version=${value.version} />
          <${Jobs} generations=${value.generations} /><${SlowRecalls} recalls=${value.slow_recalls} /><${Doctor} />
        </div>`
      : health.problem ? null : html`<${Busy} />`}
  </div>`;
}

function Facts({ facts }) {
  return html`<dl class="facts">${facts.filter(([, value]) => value).map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd dir="auto">${value}</dd></div>`)}</dl>`;
}

function Store({ store }) {
  const { file, ...parts } = store.bytes;
  const most = Math.max(1, ...Object.values(parts));
  return html`<section class="card" aria-label="Store"><h2>Store</h2>
    <div class="stack"><${Facts} facts=${[["Memories", count(store.memories)], ["Traces", count(store.traces)], ["Relations", count(store.edges)], ["Conversations", count(store.conversations)],
      ["Size", file === undefined ? "" : bytes(file)], ["Can be written", store.writable ? "yes" : "no, it is read only"]]} />
    <table class="small sizes"><caption>What takes the room</caption><tbody>${Object.entries(parts).sort((one, other) => other[1] - one[1]).map(([name, size]) => html`<tr key=${name}>
      <th scope="row">${words(name)}</th><td class="bar-cell"><span class="piece found" style=${{ left: 0, width: `${(size / most) * 100}%` }}></span></td><td class="number">${bytes(size)}</td></tr>`)}</tbody></table>
    <p class="small soft mono breaks">${store.location}</p></div></section>`;
}

const STATES = { unloaded: "not loaded yet", loading: "is being loaded", ready: "ready", failed: "could not be loaded" };

function Model({ model, keys, index, version }) {
  return html`<section class="card" aria-label="Model and keys"><h2>Model and keys</h2>
    <div class="stack"><${Facts} facts=${[["Model", model.name ?? model.asked_for], ["State", STATES[model.state]], ["Blocks", model.layers && String(model.layers)], ["Context", model.context_length && `${count(model.context_length)} tokens`],
      ["Runs on", model.device && `${model.device}, ${model.dtype}`], ["Aspen", version]]} />
    <${Facts} facts=${[["Keys made by", keys?.model_name], ["Fit this model", keys && (keys.fits === null ? "known once it is loaded" : keys.fits ? "yes" : "no: make them anew")],
      ["Index", words(index.kind)], ["Memories in it", count(index.memories)], ["Keys take", bytes(index.key_bytes)]]} />
    ${keys ? html`<p class="small soft mono breaks">key version ${keys.key_version}</p>` : null}
    ${model.problem ? html`<${Trouble} problem=${model.problem} />` : null}
    ${keys?.fits === false ? html`<${Start} path="/rekey" word="Make the keys anew" />` : null}</div></section>`;
}

function SlowRecalls({ recalls }) {
  return html`<section class="card wide" aria-label="Slow recalls"><h2>Slow recalls</h2>
    ${recalls.length
      ? html`<table class="small"><caption>The last that took a second or longer</caption><thead><tr><th scope="col">When</th><th scope="col" class="number">Took</th><th scope="col" class="number">Candidates</th><th scope="col">Slowest arm</th></tr></thead>
          <tbody>${recalls.map((recall, at) => { const [arm] = Object.entries(recall.arms ?? {}).sort((one, other) => other[1] - one[1]); return html`<tr key=${at}><td>${time(recall.at)}</td><td class="number">${seconds(recall.seconds)}</td><td class="number">${count(recall.candidates)}</td><td>${arm ? `${arm[0]}, ${seconds(arm[1])}` : ""}</td></tr>`; })}</tbody></table>`
      : html`<p class="soft">None took a second or longer since the server started.</p>`}</section>`;
}

function Start({ path, body = {}, word, onStart = () => {} }) {
  const start = useAction(async () => {
    await post(path, body);
    tell("Started. It goes on while you look elsewhere.");
    onStart();
  });
  return html`<button class="quiet" disabled=${start.busy} onClick=${() => start.run()}>${word}</button><${Trouble} problem=${start.problem} />`;
}

function Jobs({ generations }) {
  const jobs = useLoaded((signal) => get("/jobs", {}, { signal }), []);
  const items = jobs.value?.items ?? [];
  const running = items.some((job) => !ended(job));
  useEffect(() => {
    const timer = setInterval(jobs.reload, running ? 700 : REFRESH);
    return () => clearInterval(timer);
  }, [running]);
  return html`<section class="card" aria-label="Jobs"><header class="row spaced"><h2>Jobs</h2><${Start} path="/summarise" word="Look for patterns" onStart=${jobs.reload} /></header>
    <${Trouble} problem=${jobs.problem} />
    ${generations ? html`<p>${generations === 1 ? "A reply is" : `${generations} replies are`} being written.</p>` : null}
    ${items.length
      ? html`<ul class="lined">${items.slice(0, 12).map((job) => html`<li key=${job.id}>
          <div class="row spaced"><strong>${words(job.kind)}</strong><span class="small soft">${job.state} · ${time(job.created_at)}</span>
            ${ended(job) ? null : html`<button class="quiet" onClick=${() => remove(`/jobs/${part(job.id)}`).then(jobs.reload)}>Stop</button>`}</div>
          ${ended(job) ? null : html`<${Progress} job=${job} label=${words(job.kind)} />`}
          ${job.problem ? html`<${Trouble} problem=${job.problem} />` : null}</li>`)}</ul>`
      : html`<p class="soft">Nothing runs. Imports, replays and the doctor show here while they do.</p>`}</section>`;
}

const SIGNS = { ok: "✓", warning: "!", problem: "✕" };

function Doctor() {
  const [findings, setFindings] = useState(null);
  const examine = useAction(async (deep) => {
    const job = await followJob(await post("/doctor", { deep }));
    if (job.state !== "done") throw new Problem(job.problem ?? { title: "The doctor was stopped" });
    setFindings(job.result.findings);
  });
  return html`<section class="card wide" aria-label="Doctor"><header class="row spaced"><h2>Doctor</h2>
      <div class="row"><button disabled=${examine.busy} onClick=${() => examine.run(false)}>Examine</button><button class="quiet" disabled=${examine.busy} onClick=${() => examine.run(true)}>Look closely</button></div></header>
    <${Trouble} problem=${examine.problem} />
    ${examine.busy ? html`<${Busy} what="Looking at everything" />` : null}
    ${findings
      ? html`<ul class="findings">${findings.map((finding) => html`<li key=${finding.name} class=${finding.status}>
          <span class="sign" aria-hidden="true">${SIGNS[finding.status]}</span><div><strong>${finding.name}</strong> <span class="unseen">${finding.status}: </span><span dir="auto">${finding.what}</span>
            ${finding.fix ? html`<p class="fix"><code>${finding.fix}</code></p>` : null}</div></li>`)}</ul>`
      : examine.busy ? null : html`<p class="soft">Looks at the installation, the model and the store, and says which command mends what is wrong.</p>`}</section>`;
}

