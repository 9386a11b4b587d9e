// From what the API tells to what a heat map shows.

import { token } from "../../format.js";

/** A map of one measure: layers as rows, tokens as columns. */
export function layersByTokens({ values, layers, tokens, segments, unit }) {
  return { values, rows: layers.map((layer) => `layer ${layer}`), columns: tokens, segments, unit };
}

/** Attention of one block: the token that looks as row, what it looks at as column; what comes later it cannot see. */
export function lookingByTokens({ values, tokens, segments, unit }, { from }) {
  return {
    values: values.slice(from).map((row, at) => row.map((value, column) => (column > from + at ? null : value))),
    rows: tokens.slice(from).map((text, at) => `“${token(text)}”, token ${from + at}`), names: tokens.slice(from), columns: tokens, segments, unit,
  };
}

/** How far two runs are apart: layers as rows, the tokens that both have as columns. */
export function distances({ distances: values, texts }) {
  return { values, rows: values.map((_, layer) => `layer ${layer}`), columns: texts, segments: [], unit: "of the length" };
}
