// A recall as it stands in the address, and as it is sent. The page of the graph asks in the same way.

import { get } from "../../api.js";

const BOOSTED = ["self", "belief", "pattern"];

/** What a query of the address asks for. `spreading` has only what differs from the preset. */
export function asked(query) {
  const spreading = {};
  for (const [name, key] of [["hops", "max_hops"], ["decay", "decay"], ["least", "min_weight"]]) {
    const value = Number(query.get(name));
    if (query.has(name) && Number.isFinite(value)) spreading[key] = value;
  }
  const boosts = Object.fromEntries(
    BOOSTED.filter((type) => Number(query.get(type)) >= 1).map((type) => [type, Number(query.get(type))]),
  );
  if (Object.keys(boosts).length) spreading.type_boost = boosts;
  return {
    prompt: query.get("prompt") ?? "",
    preset: query.get("preset") || "balanced",
    limit: Number(query.get("limit")) || 10,
    types: list(query.get("types")),
    arms: list(query.get("arms")),
    rerank: query.get("rerank") === "1",
    since: timeIn(query.get("since")),
    until: timeIn(query.get("until")),
    spreading,
  };
}

const list = (text) => (text ? text.split(",") : []);

const ISO = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?$/;

/** A time of the address, in ISO 8601; "" for what is none. Without a zone it is UTC, as for the server. */
function timeIn(text) {
  if (!text || !ISO.test(text) || Number.isNaN(Date.parse(text))) return "";
  return /T[^Z+-]*$/.test(text) ? `${text}Z` : text;
}

/** The same as a query of the address. */
export function queryOf({ prompt, preset, limit, types, arms, rerank, since, until, spreading }) {
  return {
    prompt,
    preset: preset === "balanced" ? "" : preset,
    limit: limit === 10 ? "" : limit,
    types: types.join(","),
    arms: arms.join(","),
    rerank: rerank ? "1" : "",
    since,
    until,
    hops: spreading.max_hops,
    decay: spreading.decay,
    least: spreading.min_weight,
    ...(spreading.type_boost ?? {}),
  };
}

/** The same as the body of a request; `settings` are those of the preset, which fill what is not set. */
export function bodyOf({ prompt, preset, limit, types, arms, rerank, since, until, spreading }, settings) {
  const boosts = spreading.type_boost && { type_boost: { ...settings?.type_boost, ...spreading.type_boost } };
  const changed = { ...spreading, ...boosts };
  return {
    prompt,
    preset,
    limit,
    explain: true,
    ...(types.length ? { types } : {}),
    ...(arms.length ? { arms } : {}),
    ...(rerank ? { rerank } : {}),
    ...(since ? { since } : {}),
    ...(until ? { until } : {}),
    ...(Object.keys(changed).length ? { spreading: changed } : {}),
  };
}

let presets = null;

/** The presets by name, with what each is for; asked for once. */
export function loadPresets() {
  presets ??= get("/presets").then(
    ({ items }) => Object.fromEntries(items.map((preset) => [preset.name, preset])),
    (problem) => {
      presets = null;
      throw problem;
    },
  );
  return presets;
}

export { BOOSTED };
