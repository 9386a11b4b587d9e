// How the hits were found: the partial pass, what each arm says, and what became of it when the arms were put together.

import { html } from "../../../vendor/view.js";
import { count, counted, cut, fixed, percent, seconds, signed } from "../../format.js";
import { TypeMark } from "../../parts/marks.js";
import { memoryAddress } from "../../parts/memories.js";

const SHOWN = 8; // candidates of each arm

/** What the recall cost, and how familiar the prompt is. */
export function Strip({ recall }) {
  const pass = recall.partial_pass;
  return html`<dl class="facts strip">
    <div><dt>Familiarity</dt><dd><span class="gauge" aria-hidden="true"><span style=${{ width: `${Math.round(recall.familiarity * 100)}%` }}></span></span>${percent(recall.familiarity)}</dd></div>
    ${pass ? html`<div><dt>Partial pass of the prompt</dt><dd><${Depth} pass=${pass} />${pass.depth} of ${pass.n_layers} blocks · ${counted(pass.tokens, "token")} · ${seconds(pass.seconds)}</dd></div>` : null}
    <div><dt>Searched</dt><dd>${counted(recall.candidates, "memory", "memories")}</dd></div>
    <div><dt>In all</dt><dd>${seconds(recall.seconds)}</dd></div>
  </dl>`;
}

function Depth({ pass }) {
  return html`<span class="depth" aria-hidden="true">${Array.from({ length: pass.n_layers }, (_, at) => html`<i key=${at} class=${at < pass.depth ? "run" : ""}></i>`)}</span>`;
}

/** The arms side by side, and the fusion: a memory that is pointed at is marked in all of them. */
export function Found({ recall, marked, onMark }) {
  const { explanation: told } = recall;
  const names = Object.keys(told.arms);
  const off = recall.arms.filter((arm) => !arm.ran);
  const ranAs = new Map(recall.arms.map((arm) => [arm.name, arm]));
  return html`<section aria-label="How they were found">
    <h2>How they were found</h2>
    <p class="soft">Each arm ranks the memories by itself. Their scores, in standard deviations over all candidates, are
      added up by weight: that is the fusion. Then activation spreads.</p>
    <div class="arms">
      ${names.map((name) => html`<${Arm} key=${name} name=${name} weight=${told.weights[name]} unit=${told.units[name]} report=${ranAs.get(name)}
        rows=${told.arms[name].slice(0, SHOWN).map(({ memory_id: id, raw, z, rank }) => ({ id, rank, value: z, title: `${fixed(raw)} ${told.units[name]}` }))}
        told=${told} marked=${marked} onMark=${onMark} />`)}
      <${Arm} name="fusion" unit="before spreading" told=${told} marked=${marked} onMark=${onMark}
        rows=${told.fused.slice(0, SHOWN).map(({ memory_id: id, score }, at) => ({ id, rank: at + 1, value: score, title: "" }))} />
      <${Arm} name="after spreading" unit="what came added" told=${told} marked=${marked} onMark=${onMark}
        rows=${[...told.fused].sort((one, other) => other.final - one.final).slice(0, SHOWN).map(({ memory_id: id, final, score }, at) => ({
          id, rank: at + 1, value: final, title: `${signed(final - score)} came` }))} />
    </div>
    ${off.length ? html`<p class="small soft">Did not run: ${off.map((arm) => `${arm.name}${arm.reason ? ` (${arm.reason})` : ""}`).join(", ")}.</p>` : null}
  </section>`;
}

function Arm({ name, weight, unit, report, rows, told, marked, onMark }) {
  const most = Math.max(0.1, ...rows.map(({ value }) => Math.abs(value)));
  return html`<div class="arm card">
    <header><h3>${name[0].toUpperCase() + name.slice(1)}</h3>
      <p class="small soft">${[weight === undefined ? null : `weight ${fixed(weight, 1)}`, unit, report ? seconds(report.seconds) : null].filter(Boolean).join(" · ")}</p></header>
    <table class="small"><caption class="unseen">The best by ${name}</caption>
      <thead class="unseen"><tr><th scope="col">Rank</th><th scope="col">Memory</th><th scope="col">Score</th></tr></thead>
      <tbody>${rows.map(({ id, rank, value, title }) => {
        const memory = told.memories[id];
        return html`<tr key=${id} class=${marked === id ? "marked" : ""} onMouseEnter=${() => onMark(id)} onMouseLeave=${() => onMark(null)}>
          <td class="number soft">${count(rank)}</td>
          <td><span class="one-line"><${TypeMark} type=${memory?.type} bare /><a href=${memoryAddress(id)} dir="auto">${cut(memory?.text ?? id, 90)}</a></span>
            <span class="thin" aria-hidden="true"><span style=${{ width: `${Math.round((Math.abs(value) / most) * 100)}%` }} class=${value < 0 ? "against" : ""}></span></span></td>
          <td class="number" title=${title}>${signed(value)}</td>
        </tr>`;
      })}</tbody>
    </table>
  </div>`;
}
