// From what the API tells to what a heat map shows.

import { token } from "../../format.js";

/** A map of one measure: layers as rows, tokens as columns. */
export function layersByTokens({ values, layers, tokens, segments, unit }) {
  return { values, rows: layers.map((layer) => `layer ${layer}`), columns: tokens, segments, unit };
}

/** Attention of one block: the token that looks as row, what it looks at as column; what comes later it cannot see. */
export function lookingByTokens({ values, tokens, segments, unit }, { from }) {
  const seen = (row, at) => row.map((value, column) => (column > from + at ? null : value));
  return {
    values: values.slice(from).map(seen),
    rows: tokens.slice(from).map((text, at) => `“${token(text)}”, token ${from + at}`),
    names: tokens.slice(from),
    columns: tokens,
    segments,
    unit,
  };
}

/** How far two runs are apart: layers as rows, the tokens that both have as columns. */
export function distances({ distances: values, texts }) {
  const rows = values.map((_, layer) => `layer ${layer}`);
  return { values, rows, columns: texts, segments: [], unit: "of the length" };
}

/**
 * The text of all segments of one name. Where a sign is parted between tokens, their texts have a replacement for it:
 * then the sign is looked up in the whole `prompt`.
 */
export function textOf({ tokens, segments, prompt }, names) {
  const segment = segments.findLast(({ name }) => names.includes(name));
  if (!tokens || !segment) return "";
  const text = tokens.slice(segment.start, segment.stop).join("");
  if (!text.includes("\uFFFD")) return text;
  const known = text.split(/\uFFFD+/).map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  return new RegExp(known.join("[^]{1,12}?")).exec(prompt)?.[0] ?? text;
}
