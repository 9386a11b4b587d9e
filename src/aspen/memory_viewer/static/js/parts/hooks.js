// What pages have in common when they wait for something.

import { useCallback, useEffect, useRef, useState } from "../../vendor/view.js";

/**
 * Load something and keep it: `load(signal)` runs at once and whenever `keys` change; an older run that is still under
 * way is broken off. The last value stays until the new one is there, so that nothing flickers.
 */
export function useLoaded(load, keys) {
  const [state, setState] = useState({ value: null, problem: null, busy: true });
  const [round, setRound] = useState(0);
  useEffect(() => {
    const breaking = new AbortController();
    setState((before) => ({ ...before, busy: true }));
    load(breaking.signal).then(
      (value) => !breaking.signal.aborted && setState({ value, problem: null, busy: false }),
      (problem) => !breaking.signal.aborted && setState((before) => ({ ...before, problem, busy: false })),
    );
    return () => breaking.abort();
  }, [...keys, round]);
  const reload = useCallback(() => setRound((before) => before + 1), []);
  const setValue = useCallback((value) => setState({ value, problem: null, busy: false }), []);
  return { ...state, reload, setValue };
}

/** Run something that a person asked for, and tell whether it runs or what went wrong. */
export function useAction(work) {
  const [state, setState] = useState({ busy: false, problem: null });
  const there = useRef(true);
  useEffect(() => () => (there.current = false), []);
  const run = async (...given) => {
    setState({ busy: true, problem: null });
    try {
      const value = await work(...given);
      if (there.current) setState({ busy: false, problem: null });
      return value;
    } catch (problem) {
      if (there.current) setState({ busy: false, problem: problem.name === "AbortError" ? null : problem });
      return undefined;
    }
  };
  const clear = () => setState({ busy: false, problem: null });
  return { ...state, run, clear };
}

/** A value that follows `value` once it rested for `wait` milliseconds. */
export function useRested(value, wait = 150) {
  const [rested, setRested] = useState(value);
  const key = JSON.stringify(value);
  useEffect(() => {
    const timer = setTimeout(() => setRested(value), wait);
    return () => clearTimeout(timer);
  }, [key, wait]);
  return rested;
}

/** The size of an element in CSS pixels, followed as it changes. */
export function useSize(ref) {
  const [size, setSize] = useState({ width: 0, height: 0 });
  useEffect(() => {
    const watching = new ResizeObserver(([entry]) => {
      const { width, height } = entry.contentRect;
      setSize({ width: Math.round(width), height: Math.round(height) });
    });
    watching.observe(ref.current);
    return () => watching.disconnect();
  }, []);
  return size;
}

/**
 * What has the focus may go away with what a person did, as a link of a list does. The browser then begins again at the
 * top; here the focus goes to what `ref` holds, so that Tab goes on from there and a screen reader reads on.
 */
export function useKeptFocus(ref) {
  useEffect(() => {
    let last = null;
    const remember = ({ target }) => (last = target);
    const keep = () => {
      if (!last || last.isConnected || document.activeElement !== document.body) return;
      last = null;
      ref.current?.focus({ preventScroll: true });
    };
    const watching = new MutationObserver(keep);
    document.addEventListener("focusin", remember);
    watching.observe(document.body, { childList: true, subtree: true });
    return () => {
      document.removeEventListener("focusin", remember);
      watching.disconnect();
    };
  }, []);
}

/** The chosen theme, "light" or "dark", followed as it changes: for what is drawn on a canvas. */
export function useTheme() {
  const now = () => document.documentElement.dataset.theme;
  const [theme, setTheme] = useState(now);
  useEffect(() => {
    const follow = () => setTheme(now());
    document.addEventListener("aspen-theme", follow);
    return () => document.removeEventListener("aspen-theme", follow);
  }, []);
  return theme;
}

export const stillness = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** A colour of the style sheet, for what is drawn on a canvas: `colour("--ink")`. */
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
