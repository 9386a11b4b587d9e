// Numbers with their units and times as people say them.

const NUMBER = new Intl.NumberFormat("en");
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long" });
const LONG_DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric" });
const DATE = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const TIME = new Intl.DateTimeFormat("en-GB", {
  day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit",
});

export const count = (value) => NUMBER.format(value);

/** "1 memory", "2,000 memories". */
export const counted = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;

/** A duration in the unit that suits it. */
export function seconds(value) {
  if (value === null || value === undefined) return "";
  if (value < 0.0995) return `${Math.max(1, Math.round(value * 1000))} ms`;
  if (value < 60) return `${value.toFixed(value < 9.95 ? 1 : 0)} s`;
  return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
}

/** Bytes in decimal units, as disks are sold. */
export function bytes(value) {
  const units = ["bytes", "KB", "MB", "GB", "TB"];
  let rest = value;
  let unit = 0;
  while (rest >= 1000 && unit < units.length - 1) {
    rest /= 1000;
    unit += 1;
  }
  return `${unit && rest < 10 ? rest.toFixed(1) : NUMBER.format(Math.round(rest))} ${units[unit]}`;
}

export const percent = (value) => `${Math.round(value * 100)} %`;

/** With a sign that is told apart at a glance: a true minus. */
export function signed(value, digits = 2) {
  const text = Math.abs(value).toFixed(digits);
  if (Number(text) === 0) return text;
  return (value < 0 ? "−" : "+") + text;
}

export const fixed = (value, digits = 2) => (value < 0 ? "−" : "") + Math.abs(value).toFixed(digits);

/** "14 May", with the year where it is not this one. */
export function day(when) {
  if (!when) return "";
  const then = new Date(when);
  return (then.getFullYear() === new Date().getFullYear() ? DAY : LONG_DAY).format(then);
}

export const date = (when) => (when ? DATE.format(new Date(when)) : "");
export const time = (when) => (when ? TIME.format(new Date(when)) : "");

/** When something was said, or else stored. */
export const saidAt = (memory) => memory.said_at ?? memory.created_at;

/** A text cut to a length, with an ellipsis where something was left out; never inside a surrogate pair. */
export function cut(text, length) {
  if (text.length <= length) return text;
  return `${text.slice(0, length).replace(/[\uD800-\uDBFF]$/, "")}…`;
}

/** "supports" for `supports`, "historical version of" for `historical_version_of`. */
export const words = (name) => String(name).replaceAll("_", " ");

/** A token so that what cannot be seen is seen: a space as "␣" at its ends alone, a line break as "⏎". */
export const token = (text) =>
  text === "" ? "∅" : text.replaceAll("\n", "⏎").replaceAll("\t", "⇥").replace(/^ | $/g, "␣");
