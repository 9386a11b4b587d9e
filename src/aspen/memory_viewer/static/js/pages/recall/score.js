// What a score is made of. Every part of it is a bar on one scale, to the right of zero for and to the left against.

import { html } from "../../../vendor/view.js";
import { percent, signed } from "../../format.js";
import { Path } from "../../parts/memories.js";

/** The parts of a score in four groups; the words say what each is. */
export const GROUPS = [
  {
    key: "found",
    word: "Found by",
    parts: { activation: "activation", keyword: "keyword", heads: "heads", vector: "vector" },
  },
  {
    key: "leaning",
    word: "Leaning",
    parts: { subject: "who it is about", dates: "when", traits: "kind of statement", priority: "priority" },
  },
  {
    key: "spread",
    word: "Spread to it",
    parts: { neighbours: "neighbouring turns", names: "shared names", relations: "relations" },
  },
  {
    key: "context",
    word: "Afterwards",
    parts: { session: "session", kept: "kept in place", corrected: "correction", rerank: "re-ranked" },
  },
];

const KNOWN = new Map(
  GROUPS.flatMap(({ key, parts }) => Object.entries(parts).map(([name, word]) => [name, { key, word }])),
);
const LEAST = 0.005; // what rounds to 0.00 is no part

/** The parts of a hit that count, in the order of their groups: [{name, word, group, value}]. */
export function partsOf(hit) {
  const names = [...KNOWN.keys(), ...Object.keys(hit.arms).filter((name) => !KNOWN.has(name))];
  return names
    .filter((name) => Math.abs(hit.arms[name] ?? 0) >= LEAST)
    .map((name) => {
      const { word = name, key: group = "context" } = KNOWN.get(name) ?? {};
      return { name, value: hit.arms[name], word, group };
    });
}

/** How far the bars of some hits reach to each side of zero. */
export function scaleOf(hits) {
  const sides = hits.map((hit) => {
    const values = partsOf(hit).map(({ value }) => value);
    return [values.filter((value) => value < 0), values.filter((value) => value > 0)];
  });
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  const [least, most] = [sides.map(([against]) => sum(against)), sides.map(([, by]) => sum(by))];
  return scale(Math.min(0, ...least), Math.max(0.1, ...most));
}

/** How far the parts reach, each by itself. */
function scaleOfParts(parts) {
  const values = parts.map(({ value }) => value);
  return scale(Math.min(0, ...values), Math.max(0.1, ...values));
}

const scale = (low, high) => ({ width: high - low, at: (value) => ((value - low) / (high - low)) * 100 });

/** The whole score in one line: what speaks against it to the left of zero, what speaks for it to the right. */
export function ScoreBar({ hit, reach }) {
  let left = 0;
  let right = 0;
  const pieces = partsOf(hit).map((part) => {
    const from = part.value < 0 ? left + part.value : right;
    if (part.value < 0) left += part.value;
    else right += part.value;
    return { ...part, left: reach.at(from), width: (Math.abs(part.value) / reach.width) * 100 };
  });
  return html`<div class="score-bar" aria-hidden="true">
    ${pieces.map(({ name, word, value, group, left: at, width }) => html`<span key=${name} class=${`piece ${group}`}
      title=${`${word} ${signed(value)} σ`} style=${{ left: `${at}%`, width: `${width}%` }}></span>`)}
    <span class="zero" style=${{ left: `${reach.at(0)}%` }}></span>
  </div>`;
}

export function ScoreLegend() {
  return html`<ul class="score-legend small soft" aria-hidden="true">
      ${GROUPS.map(({ key, word, parts }) => html`<li key=${key} title=${Object.values(parts).join(", ")}>
        <span class=${`swatch piece ${key}`}></span>${word}</li>`)}
    </ul>
    <span class="small soft">in standard deviations (σ)</span>`;
}

/** Each part on a line of its own, and the ways on which activation came with their shares. */
export function ScoreTable({ hit, textOf }) {
  const parts = partsOf(hit);
  const reach = scaleOfParts(parts);
  return html`<table class="score-table small">
      <caption class="unseen">The parts of the score, in standard deviations over the candidates</caption>
      <tbody>
        ${parts.map(({ name, word, value, group }) => html`<tr key=${name}>
          <th scope="row">${word}</th>
          <td class="bar-cell"><span class=${`piece ${group}`} style=${{
            left: `${reach.at(Math.min(0, value))}%`, width: `${(Math.abs(value) / reach.width) * 100}%` }}></span></td>
          <td class="number">${signed(value)}</td>
        </tr>`)}
        ${hit.type_boost === 1
          ? null
          : html`<tr><th scope="row">type boost</th><td class="soft">each step to it counts</td>
              <td class="number">× ${hit.type_boost}</td></tr>`}
      </tbody>
    </table>
    ${hit.paths.length ? html`<${Paths} paths=${hit.paths} textOf=${textOf} />` : null}`;
}

/** Ways by the manner in which activation came, each with its share in what came in that manner. */
function Paths({ paths, textOf }) {
  const manner = (path) => (path.relations.length ? "relations" : path.via ? "names" : "turns");
  const totals = {};
  for (const path of paths) totals[manner(path)] = (totals[manner(path)] ?? 0) + path.contribution;
  return html`<h4 class="small">Ways on which activation came</h4>
    <ul class="paths small">${paths.map((path, at) => {
      const share = totals[manner(path)] ? path.contribution / totals[manner(path)] : 0;
      return html`<li key=${at}>
        <span class="gauge" aria-hidden="true"><span style=${{ width: percent(share).replace(" ", "") }}></span></span>
        <span class="number">${signed(path.contribution)}</span>
        <span class="soft">${percent(share)} over ${manner(path)}</span>
        <${Path} path=${path} textOf=${textOf} />
      </li>`;
    })}</ul>`;
}
