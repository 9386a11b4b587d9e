// What tells a person how things stand: nothing here yet, under way, gone wrong, done.

import { html, useEffect, useState } from "../../vendor/view.js";
import { percent } from "../format.js";

/** Nothing to show yet, and the step that changes that. */
export function Empty({ title, children }) {
  return html`<div class="empty"><h2>${title}</h2><div>${children}</div></div>`;
}

/** What went wrong, and what to do about it. `again` tries once more, or does what `word` says. */
export function Trouble({ problem, again, word = "Try again" }) {
  if (!problem) return null;
  return html`<div class="trouble" role="alert">
    <p><strong>${problem.detail || problem.title || problem.message}</strong></p>
    ${problem.hint ? html`<p>${problem.hint}</p>` : null}
    ${again ? html`<button type="button" class="quiet" onClick=${() => again()}>${word}</button>` : null}
  </div>`;
}

/** That something is under way, where it is. It shows after a moment, so that what is quick does not flicker. */
export function Busy({ what = "Loading" }) {
  return html`<p class="busy soft" role="status"><span class="dots" aria-hidden="true"></span>${what}</p>`;
}

/** A job with its progress; `total` may be unknown, and is 1 where `done` is a share. */
export function Progress({ job, label }) {
  const share = job.total ? job.done / job.total : null;
  const far = job.total === 1 ? percent(share) : job.total ? `${job.done} of ${job.total} ${job.unit ?? ""}` : "";
  const text = [far, job.message].filter(Boolean).join(" · ") || job.state;
  return html`<div class="progress">
    <div role="progressbar" aria-label=${label} aria-valuemin="0" aria-valuemax=${job.total ?? undefined}
      aria-valuenow=${job.total ? job.done : undefined} aria-valuetext=${text} class=${share === null ? "unknown" : ""}>
      <div style=${{ width: share === null ? "30%" : `${Math.round(share * 100)}%` }}></div>
    </div>
    <span class="small soft">${text}</span>
  </div>`;
}

const TOLD = new EventTarget();

/**
 * Say in a line at the foot of the window what was done; screen readers read it out. `undo` takes it back, and may
 * return what is to be said of that.
 */
export function tell(text, { undo } = {}) {
  TOLD.dispatchEvent(new CustomEvent("told", { detail: { text, undo } }));
}

/** The line at the foot of the window. */
export function Told() {
  const [told, setTold] = useState(null);
  useEffect(() => {
    const show = (event) => setTold(event.detail);
    TOLD.addEventListener("told", show);
    return () => TOLD.removeEventListener("told", show);
  }, []);
  useEffect(() => {
    if (!told) return undefined;
    const timer = setTimeout(() => setTold(null), told.undo ? 15000 : 6000);
    return () => clearTimeout(timer);
  }, [told]);
  const undo = async () => {
    setTold(null);
    try {
      tell((await told.undo()) || "Undone.");
    } catch (problem) {
      tell(`It could not be undone: ${problem.detail || problem.message}`);
    }
  };
  return html`<div class="told" role="status" aria-live="polite">
    ${told
      ? html`<div><span>${told.text}</span>
          ${told.undo ? html`<button onClick=${undo}>Undo</button>` : null}
          <button aria-label="Close" onClick=${() => setTold(null)}>×</button></div>`
      : null}
  </div>`;
}
