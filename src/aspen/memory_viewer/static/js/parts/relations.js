// Relations as the API tells them: what tells one from others, and a link and the one back as one.

import { fixed, words } from "../format.js";

/** What tells a relation from others; in the frames of a recall its type is called `relation`. */
export const relationKey = ({ source, target, type, relation }) => `${source} ${type ?? relation} ${target}`;

/** Links of one type, a link and the one back as one: `back` is the weight of that, null where there is none. */
export function pairsOf(links) {
  const pairs = new Map();
  for (const link of links) {
    const there = pairs.get(`${link.target} ${link.source}`);
    if (there) there.back = link.weight;
    else pairs.set(`${link.source} ${link.target}`, { ...link, back: null });
  }
  return [...pairs.values()];
}

/** The relations of a memory in their order. A link that grew by use grew both ways at once: it is there once. */
export function eachOnce(relations) {
  const grown = pairsOf(relations.filter(({ type }) => type === "co_activated"));
  const pairs = new Map(grown.map((pair) => [relationKey(pair), pair]));
  return relations.flatMap((one) => {
    if (one.type !== "co_activated") return [{ ...one, back: null }];
    return pairs.get(relationKey(one)) ?? [];
  });
}

/** "supports →", "← supports" as seen from a memory; "↔ co activated" for one of `eachOnce` that leads both ways. */
export function directed({ source, type, back }, id) {
  if (back !== null) return `↔ ${words(type)}`;
  return source === id ? `${words(type)} →` : `← ${words(type)}`;
}

/** What is to be said of the weight back, where it is another one. */
export const wayBack = ({ weight, back }) =>
  back === null || fixed(back) === fixed(weight) ? "" : `, back ${fixed(back)}`;
