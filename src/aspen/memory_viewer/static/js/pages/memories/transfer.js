// Memories in from a file, with progress, and out to one.

import { html, useRef, useState } from "../../../vendor/view.js";
import { ended, followJob, get, part, Problem, remove, upload, url } from "../../api.js";
import { bytes, counted } from "../../format.js";
import { Progress, tell, Trouble } from "../../parts/feedback.js";
import { Choice, Field, Text } from "../../parts/fields.js";
import { useAction, useLoaded } from "../../parts/hooks.js";

const LISTED = 100; // lines that were not readable

export function Transfer() {
  return html`<div class="two-cards"><${Import} /><${Export} /></div>`;
}

function Import() {
  const [file, setFile] = useState(null);
  const [conversation, setConversation] = useState("");
  const [job, setJob] = useState(null);
  const input = useRef(null);
  const run = useAction(async () => {
    const query = { name: file.name, conversation: conversation.trim() };
    const started = await upload("/import", query, file, "application/octet-stream");
    const last = await followJob(started, { onChange: setJob });
    if (last.state === "failed") throw new Problem(last.problem ?? { title: "The import failed" });
    if (last.state === "done") tell(`${counted(last.result.stored, "memory", "memories")} stored.`);
    input.current.value = "";
    setFile(null);
  });
  const stop = useAction(() => remove(`/jobs/${part(job.id)}`));
  const report = job?.state === "done" ? job.result : null;
  const choose = (event) => {
    setFile(event.currentTarget.files[0] ?? null);
    setJob(null);
  };
  const submit = (event) => {
    event.preventDefault();
    run.run();
  };
  return html`<section class="card stack" aria-label="Import">
    <h2>Import</h2>
    <p class="soft">JSON lines, a chat, a LoCoMo file or Aspen’s own export; the format is told by the content. A file
      that was imported before adds nothing.</p>
    <form class="stack" onSubmit=${submit}>
      <${Field} label="File"><input ref=${input} type="file" onChange=${choose} /><//>
      <${Text} label="Conversation" hint="for what names none; may stay empty" value=${conversation}
        onInput=${setConversation} />
      <div class="row"><button disabled=${!file || run.busy}>Import ${file ? bytes(file.size) : ""}</button>
        ${job && !ended(job)
          ? html`<button type="button" class="quiet" onClick=${() => stop.run()}>Stop</button>`
          : null}</div>
    </form>
    ${job && !ended(job) ? html`<${Progress} job=${job} label="Import" />` : null}
    ${job?.state === "cancelled"
      ? html`<p role="status">Stopped. What was stored stays; import the same file again to go on.</p>`
      : null}
    <${Trouble} problem=${run.problem ?? stop.problem} />
    ${report ? html`<${Report} report=${report} />` : null}
  </section>`;
}

function Report({ report }) {
  const rest = [
    `${report.already_there} already there`,
    report.relations_stored ? counted(report.relations_stored, "relation") : null,
    report.bad ? `${report.bad} not readable` : null,
  ].filter(Boolean).join(", ");
  return html`<div role="status">
    <p><strong>${counted(report.stored, "memory", "memories")} stored</strong>, ${rest}.</p>
    ${report.problems?.length
      ? html`<details><summary class="small">What was not readable</summary>
          <ul class="small">${report.problems.slice(0, LISTED).map(
            ({ number, reason }, at) => html`<li key=${at} dir="auto">line ${number}: ${reason}</li>`,
          )}</ul></details>`
      : null}
    <p class="row"><a class="button quiet" href="/memories">See the memories</a>
      <a class="button quiet" href="/graph">See the graph</a></p></div>`;
}

function Export() {
  const [conversation, setConversation] = useState("");
  const conversations = useLoaded((signal) => get("/conversations", {}, { signal }), []);
  const names = (conversations.value?.items ?? []).map(({ name }) => name);
  return html`<section class="card stack" aria-label="Export">
    <h2>Export</h2>
    <p class="soft">Memories and the relations between them as JSON lines, which import again into any store. Keys and
      traces are not in it: <code>aspen backup</code> copies those.</p>
    <${Choice} label="Conversation" value=${conversation} options=${[["", "All memories"], ...names]}
      onChange=${setConversation} />
    <${Trouble} problem=${conversations.problem} again=${conversations.reload} />
    <p><a class="button" download="memories.jsonl" href=${url("/export", { conversation })}>Export</a></p>
  </section>`;
}
