// How the hits were found: the partial pass, what each arm says, and what became of it when the arms were put together.

import { html, useState } from "../../../vendor/view.js";
import { count, counted, cut, fixed, percent, seconds, signed } from "../../format.js";
import { TypeMark } from "../../parts/marks.js";
import { memoryAddress } from "../../parts/memories.js";

const SHOWN = 8; // candidates of each arm, until all are asked for

/** What the recall cost, and how familiar the prompt is. */
export function Strip({ recall }) {
  const pass = recall.partial_pass;
  const width = `${Math.round(recall.familiarity * 100)}%`;
  return html`<dl class="facts strip">
    <div><dt>Familiarity</dt><dd><span class="gauge" aria-hidden="true"><span style=${{ width }}></span></span>
      ${percent(recall.familiarity)}</dd></div>
    ${pass
      ? html`<div><dt>Partial pass of the prompt</dt><dd><${Depth} pass=${pass} />
          ${`${pass.depth} of ${pass.n_layers} blocks`} · ${counted(pass.tokens, "token")} ·
          ${" "}${seconds(pass.seconds)}</dd></div>`
      : null}
    <div><dt>Searched</dt><dd>${counted(recall.candidates, "memory", "memories")}</dd></div>
    <div><dt>In all</dt><dd>${seconds(recall.seconds)}</dd></div>
  </dl>`;
}

function Depth({ pass }) {
  const blocks = Array.from({ length: pass.n_layers }, (_, at) => at);
  return html`<span class="depth" aria-hidden="true">${blocks.map(
    (at) => html`<i key=${at} class=${at < pass.depth ? "run" : ""}></i>`,
  )}</span>`;
}

/** The arms side by side, and the fusion: a memory that is pointed at, or in focus, is marked wherever it is shown. */
export function Found({ recall, marked, onMark }) {
  const { explanation: told } = recall;
  const off = recall.arms.filter((arm) => !arm.ran);
  const ranAs = new Map(recall.arms.map((arm) => [arm.name, arm]));
  const common = { told, marked, onMark };
  return html`<section aria-label="How they were found">
    <h2>How they were found</h2>
    <p class="soft">Each arm ranks the memories by itself. Their scores, in standard deviations (σ) over all
      candidates, are added up by weight: that is the fusion. Then activation spreads.</p>
    <div class="arms">
      ${Object.keys(told.arms).map((name) => html`<${Arm} key=${name} name=${name} rows=${rowsOf(told, name)}
        about=${[`weight ${fixed(told.weights[name], 1)}`, told.units[name], seconds(ranAs.get(name)?.seconds)]}
        ...${common} />`)}
      <${Arm} name="fusion" about=${["before spreading"]} rows=${fused(told)} ...${common} />
      <${Arm} name="after spreading" about=${["what came added"]} rows=${spread(told)} ...${common} />
    </div>
    ${off.length
      ? html`<p class="small soft">Did not run:
          ${" "}${off.map(({ name, reason }) => (reason ? `${name} (${reason})` : name)).join(", ")}.</p>`
      : null}
  </section>`;
}

/** The candidates of an arm as the rows of a table; the two others are those of the fusion and of what came of it. */
function rowsOf(told, name) {
  return told.arms[name].map(({ memory_id: id, raw, z, rank }) => ({
    id, rank, value: z, title: `${fixed(raw)} ${told.units[name]}`,
  }));
}

function fused(told) {
  return told.fused.map(({ memory_id: id, score }, at) => ({ id, rank: at + 1, value: score, title: "" }));
}

function spread(told) {
  const ordered = [...told.fused].sort((one, other) => other.final - one.final);
  return ordered.map(({ memory_id: id, final, score }, at) => ({
    id, rank: at + 1, value: final, title: `${signed(final - score)} came`,
  }));
}

function Arm({ name, about, rows, told, marked, onMark }) {
  const [all, setAll] = useState(false);
  const shown = all ? rows : rows.slice(0, SHOWN);
  const most = Math.max(0.1, ...shown.map(({ value }) => Math.abs(value)));
  return html`<div class="arm card">
    <header><h3>${name[0].toUpperCase() + name.slice(1)}</h3>
      <p class="small soft">${["in σ", ...about].filter(Boolean).join(" · ")}</p></header>
    <table class="small"><caption class="unseen">The best by ${name}, in standard deviations</caption>
      <thead class="unseen">
        <tr><th scope="col">Rank</th><th scope="col">Memory</th><th scope="col">Score</th></tr></thead>
      <tbody>${shown.map((row) => html`<${Candidate} key=${row.id} row=${row} most=${most}
        memory=${told.memories[row.id]} marked=${marked === row.id} onMark=${onMark} />`)}</tbody>
    </table>
    ${rows.length > SHOWN
      ? html`<button class="quiet small" aria-expanded=${String(all)} onClick=${() => setAll(!all)}>
          ${all ? `Show the first ${SHOWN}` : `Show all ${count(rows.length)}`}
          <span class="unseen"> of ${name}</span></button>`
      : null}
  </div>`;
}

function Candidate({ row: { id, rank, value, title }, most, memory, marked, onMark }) {
  const against = value < 0 ? "against" : "";
  const width = `${Math.round((Math.abs(value) / most) * 100)}%`;
  const mark = marked ? "marked" : "";
  return html`<tr class=${mark} onMouseEnter=${() => onMark(id)} onMouseLeave=${() => onMark(null)}
    onFocusIn=${() => onMark(id)} onFocusOut=${() => onMark(null)}>
    <td class="number soft">${count(rank)}</td>
    <td><span class="one-line"><${TypeMark} type=${memory?.type} bare />
        <a href=${memoryAddress(id)} dir="auto">${cut(memory?.text ?? id, 90)}</a></span>
      <span class="thin" aria-hidden="true"><span style=${{ width }} class=${against}></span></span></td>
    <td class="number" title=${title}>${signed(value)}</td>
  </tr>`;
}
