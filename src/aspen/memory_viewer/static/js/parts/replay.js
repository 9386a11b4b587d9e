// Running an inference again, and what came of it.

import { html, useState } from "../../vendor/view.js";
import { part, runJob } from "../api.js";
import { words } from "../format.js";
import { Busy, Trouble } from "./feedback.js";
import { useAction } from "./hooks.js";

/** What a replay found: the same bit for bit, or the first difference. */
export function Verdict({ report }) {
  const same = report.verified ?? report.verdict === "verified";
  return html`<p class=${same ? "verdict good" : "verdict bad"} role="status">
    <span aria-hidden="true">${same ? "✓" : "≠"}</span>
    <span>${report.explanation || words(report.verdict)}</span>
  </p>`;
}

/** A button that runs an inference again and says whether everything came out the same. */
export function Replay({ traceId }) {
  const [report, setReport] = useState(null);
  const replay = useAction(async () => setReport(await runJob(`/traces/${part(traceId)}/replay`, {})));
  return html`
    ${report ? html`<${Verdict} report=${report} />` : null}
    ${replay.busy ? html`<${Busy} what="Running it again" />` : null}
    <${Trouble} problem=${replay.problem} />
    <button class="quiet" disabled=${replay.busy}
      onClick=${() => replay.run()}>${report ? "Replay again" : "Replay"}</button>
  `;
}
