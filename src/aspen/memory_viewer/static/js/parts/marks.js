// The five types of memories, each with one colour, one shape and one word wherever it is shown.

import { html } from "../../vendor/view.js";

/** By name: the word, what it means, and the outline of its shape in a square of 20. */
export const TYPES = {
  self: { word: "Self", meaning: "who I am", shape: "M10 1.5 18.5 10 10 18.5 1.5 10z" },
  belief: { word: "Belief", meaning: "what I hold to be right", shape: "M10 2 18.5 17.5h-17z" },
  pattern: {
    word: "Pattern",
    meaning: "what happens again and again",
    shape: "M5.5 2.2h9L19 10l-4.5 7.8h-9L1 10z",
  },
  episodic: { word: "Episodic", meaning: "what happened once", shape: "M10 2a8 8 0 1 1 0 16 8 8 0 0 1 0-16z" },
  semantic: { word: "Semantic", meaning: "a fact", shape: "M3 3h14v14H3z" },
};

export const RELATIONS = [
  "supports", "contradicts", "causes", "similar_to", "example_of", "is_generalization_of", "summarizes", "derived_from",
];

/** Relations that Aspen makes itself. */
export const MADE = ["next", "co_activated", "historical_version_of"];

export const STABILITIES = ["tentative", "stable", "canonical"];
export const PROVENANCES = ["said", "generated", "imported", "inferred", "recalled"];

/** The mark of a type; with its word beside it unless `bare`, and then named for those who do not see it. */
export function TypeMark({ type, bare = false }) {
  const known = TYPES[type] ?? TYPES.episodic;
  const shape = html`<svg class="mark" data-type=${type} viewBox="0 0 20 20" aria-hidden="true">
    <path d=${known.shape} />
  </svg>`;
  if (!bare) return html`<span class="type" title=${known.meaning}>${shape}${known.word}</span>`;
  const title = `${known.word}: ${known.meaning}`;
  return html`<span class="type" title=${title}>${shape}<span class="unseen">${known.word}</span></span>`;
}
