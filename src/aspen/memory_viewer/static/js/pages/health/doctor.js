// What the doctor found, and which command mends it.

import { html, useState } from "../../../vendor/view.js";
import { followJob, post, Problem } from "../../api.js";
import { time } from "../../format.js";
import { Busy, Trouble } from "../../parts/feedback.js";
import { useAction } from "../../parts/hooks.js";

const SIGNS = { ok: "✓", warning: "!", problem: "✕" };

/** What was found last, and when: kept while the window is open, so that one can look elsewhere meanwhile. */
let last = null;

export function Doctor() {
  const [found, setFound] = useState(last);
  const examine = useAction(async (deep) => {
    const job = await followJob(await post("/doctor", { deep }));
    if (job.state !== "done") throw new Problem(job.problem ?? { title: "The doctor was stopped" });
    last = { findings: job.result.findings, at: new Date() };
    setFound(last);
  });
  return html`<section class="card wide" aria-label="Doctor">
    <header class="row spaced"><h2>Doctor</h2>
      <div class="row"><button disabled=${examine.busy} onClick=${() => examine.run(false)}>Examine</button>
        <button class="quiet" disabled=${examine.busy} onClick=${() => examine.run(true)}>Look closely</button></div>
    </header>
    <${Trouble} problem=${examine.problem} />
    ${examine.busy ? html`<${Busy} what="Looking at everything" />` : null}
    ${found
      ? html`<p class="small soft">As it was on ${time(found.at)}</p>
          <ul class="findings">${found.findings.map((one) => html`<${Finding} key=${one.name} finding=${one} />`)}</ul>`
      : examine.busy ? null
        : html`<p class="soft">Looks at the installation, the model and the store, and says which command mends what is
            wrong.</p>`}</section>`;
}

function Finding({ finding: { name, status, what, fix } }) {
  return html`<li class=${status}><span class="sign" aria-hidden="true">${SIGNS[status]}</span>
    <div><strong>${name}</strong> <span class="unseen">${status}: </span><span dir="auto">${what}</span>
      ${fix ? html`<p class="fix"><code>${fix}</code></p>` : null}</div></li>`;
}
