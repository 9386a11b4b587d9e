// How the store, the model and the server are; what runs; and what the doctor says.

import { html, useEffect, useState } from "../../../vendor/view.js";
import { ended, get, part, post, remove } from "../../api.js";
import { bytes, count, seconds, time, words } from "../../format.js";
import { Busy, Progress, tell, Trouble } from "../../parts/feedback.js";
import { useAction, useLoaded } from "../../parts/hooks.js";
import { Doctor } from "./doctor.js";
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
  const known = facts.filter(([, value]) => value);
  return html`<dl class="facts">${known.map(
    ([name, value]) => html`<div key=${name}><dt>${name}</dt><dd dir="auto">${value}</dd></div>`,
  )}</dl>`;
}

function Store({ store }) {
  const { file, ...parts } = store.bytes;
  const sizes = Object.entries(parts).sort((one, other) => other[1] - one[1]);
  const most = Math.max(1, ...Object.values(parts));
  const facts = [
    ["Memories", count(store.memories)],
    ["Traces", count(store.traces)],
    ["Relations", count(store.edges)],
    ["Conversations", count(store.conversations)],
    ["Size", file === undefined ? "" : bytes(file)],
    ["Can be written", store.writable ? "yes" : "no, it is read only"],
  ];
  return html`<section class="card" aria-label="Store"><h2>Store</h2>
    <div class="stack"><${Facts} facts=${facts} />
    <table class="small sizes"><caption>What takes the room</caption><tbody>
      ${sizes.map(([name, size]) => html`<tr key=${name}><th scope="row">${words(name)}</th>
        <td class="bar-cell">
          <span class="piece found" style=${{ left: 0, width: `${(size / most) * 100}%` }}></span></td>
        <td class="number">${bytes(size)}</td></tr>`)}</tbody></table>
    <p class="small soft mono breaks">${store.location}</p></div></section>`;
}

const STATES = {
  unloaded: "not loaded yet", loading: "is being loaded", ready: "ready", failed: "could not be loaded",
};
const ARMS = ["activation", "keyword", "heads", "vector"]; // beside them recall has priors, which encode nothing

function Model({ model, keys, index, version }) {
  const fits = keys && (keys.fits === null ? "known once it is loaded" : keys.fits ? "yes" : "no: make them anew");
  const arms = index.arms?.filter((name) => ARMS.includes(name));
  return html`<section class="card" aria-label="Model and keys"><h2>Model and keys</h2>
    <div class="stack"><${Facts} facts=${[
      ["Model", model.name ?? model.asked_for],
      ["State", STATES[model.state]],
      ["Blocks", model.layers && String(model.layers)],
      ["Context", model.context_length && `${count(model.context_length)} tokens`],
      ["Runs on", model.device && `${model.device}, ${model.dtype}`],
      ["Aspen", version],
    ]} />
    <${Facts} facts=${[
      ["Encoder", `activations of ${keys?.model_name ?? model.name ?? model.asked_for}`],
      ["Vector embedder", arms ? (arms.includes("vector") ? "configured" : "none") : "known once the model is loaded"],
      ["Arms of recall", arms?.join(", ")],
      ["Keys fit this model", fits],
      ["Index", words(index.kind)],
      ["Memories in it", count(index.memories)],
      ["Keys take", bytes(index.key_bytes)],
    ]} />
    ${keys ? html`<p class="small soft mono breaks">key version ${keys.key_version}</p>` : null}
    ${model.problem ? html`<${Trouble} problem=${model.problem} />` : null}
    ${keys?.fits === false ? html`<${Start} path="/rekey" word="Make the keys anew" />` : null}</div></section>`;
}

function SlowRecalls({ recalls }) {
  return html`<section class="card wide" aria-label="Slow recalls"><h2>Slow recalls</h2>
    ${recalls.length
      ? html`<table class="small"><caption>The last that took a second or longer</caption>
          <thead><tr><th scope="col">When</th><th scope="col" class="number">Took</th>
            <th scope="col" class="number">Candidates</th><th scope="col">Slowest arm</th></tr></thead>
          <tbody>${recalls.map((recall, at) => html`<${SlowRecall} key=${at} recall=${recall} />`)}</tbody></table>`
      : html`<p class="soft">None took a second or longer since the server started.</p>`}</section>`;
}

function SlowRecall({ recall }) {
  const [slowest] = Object.entries(recall.arms ?? {}).sort((one, other) => other[1] - one[1]);
  return html`<tr><td>${time(recall.at)}</td><td class="number">${seconds(recall.seconds)}</td>
    <td class="number">${count(recall.candidates)}</td>
    <td>${slowest ? `${slowest[0]}, ${seconds(slowest[1])}` : ""}</td></tr>`;
}

function Start({ path, body = {}, word, onStart = () => {} }) {
  const start = useAction(async () => {
    await post(path, body);
    tell("Started. It goes on while you look elsewhere.");
    onStart();
  });
  return html`<button class="quiet" disabled=${start.busy} onClick=${() => start.run()}>${word}</button>
    <${Trouble} problem=${start.problem} />`;
}

function Jobs({ generations }) {
  const jobs = useLoaded((signal) => get("/jobs", {}, { signal }), []);
  const items = jobs.value?.items ?? [];
  const running = items.some((job) => !ended(job));
  useEffect(() => {
    const timer = setInterval(jobs.reload, running ? 700 : REFRESH);
    return () => clearInterval(timer);
  }, [running]);
  return html`<section class="card" aria-label="Jobs">
    <header class="row spaced"><h2>Jobs</h2>
      <${Start} path="/summarise" word="Look for patterns" onStart=${jobs.reload} /></header>
    <${Trouble} problem=${jobs.problem} />
    ${generations
      ? html`<p>${generations === 1 ? "A reply is" : `${generations} replies are`} being written.</p>` : null}
    ${items.length
      ? html`<ul class="lined">${items.slice(0, 12).map(
          (job) => html`<${OneJob} key=${job.id} job=${job} onStop=${jobs.reload} />`,
        )}</ul>`
      : html`<p class="soft">Nothing runs. Imports, replays and the doctor show here while they do.</p>`}</section>`;
}

function OneJob({ job, onStop }) {
  const stop = useAction(async () => {
    await remove(`/jobs/${part(job.id)}`);
    onStop();
  });
  return html`<li>
    <div class="row spaced"><strong>${words(job.kind)}</strong>
      <span class="small soft">${job.state} · ${time(job.created_at)}</span>
      ${ended(job) ? null : html`<button class="quiet" disabled=${stop.busy} onClick=${() => stop.run()}>Stop</button>`}
    </div>
    ${ended(job) ? null : html`<${Progress} job=${job} label=${words(job.kind)} />`}
    <${Trouble} problem=${stop.problem} />
    ${job.problem ? html`<${Trouble} problem=${job.problem} />` : null}</li>`;
}
