// Colours of heat maps: cividis for what grows from little to much, one scale through grey for what goes both ways.
// Cividis looks the same to most colour-blind eyes and grows evenly in lightness (Nunez, Anderton and Renslow 2018).

import { fixed } from "../../format.js";

const CIVIDIS = [
  "#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838",
];
const BOTH_WAYS = ["#2b7fd6", "#7fb0e6", "#e4e6e5", "#e39a6f", "#a63200"];

const channels = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

function table(stops) {
  const colours = stops.map(channels);
  return Array.from({ length: 256 }, (_, index) => {
    const place = (index / 255) * (colours.length - 1);
    const at = Math.min(colours.length - 2, Math.floor(place));
    return colours[at].map((value, channel) => Math.round(value + (colours[at + 1][channel] - value) * (place - at)));
  });
}

const TABLES = { grows: table(CIVIDIS), both: table(BOTH_WAYS) };

/** The scale of some values: from the 1st to the 99th of a hundred, so that one outlier does not hide all others. */
export function scaleOf(values, { both = false } = {}) {
  // Numbers of one kind are sorted several times as fast as a list: a map can have half a million.
  const known = Float64Array.from(values.flat().filter(Number.isFinite)).sort();
  if (!known.length) return { low: 0, high: 1, least: 0, most: 1, both };
  const quantile = (share) => known[Math.min(known.length - 1, Math.max(0, Math.round(share * (known.length - 1))))];
  const [low, high, least, most] = [quantile(0.01), quantile(0.99), known[0], known.at(-1)];
  if (both) {
    const reach = Math.max(Math.abs(low), Math.abs(high)) || 1;
    return { low: -reach, high: reach, least, most, both };
  }
  return { low, high: high > low ? high : low + 1, least, most, both };
}

/** What stands at both ends of a scale; values beyond it have the colour of its end. */
export function endsOf({ low, high, least, most }) {
  return [`${least < low ? "≤ " : ""}${fixed(low)}`, `${most > high ? "≥ " : ""}${fixed(high)}`];
}

/** The colour of a value as [r, g, b]. */
export function colourOf(value, { low, high, both }) {
  const share = Math.min(1, Math.max(0, (value - low) / (high - low)));
  return TABLES[both ? "both" : "grows"][Math.round(share * 255)];
}
