// Where the page is: a path and its query, kept in the address, so that a link restores a view.

import { useEffect, useState } from "../vendor/view.js";

const listeners = new Set();

/** The address as data: `page` ("recall"), the parts of the path behind it, and the query. */
export function place() {
  const parts = location.pathname.split("/").filter(Boolean).map(decoded);
  return { page: parts[0] ?? "conversation", rest: parts.slice(1), query: new URLSearchParams(location.search) };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // "%" typed by hand
  }
}

/** An address of this page: `address("trace", [id], {measure: "norm"})`. Values that are empty are left out. */
export function address(page, rest = [], query = {}) {
  const path = `/${[page, ...rest.map(encodeURIComponent)].join("/")}`;
  const kept = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const search = new URLSearchParams(kept.map(([name, value]) => [name, String(value)])).toString();
  return search ? `${path}?${search}` : path;
}

/** Go to an address; with `replace`, in place of the present one. */
export function go(to, { replace = false } = {}) {
  if (to === location.pathname + location.search) return;
  if (!replace) history.replaceState({ scrolled: scrollY }, "");
  history[replace ? "replaceState" : "pushState"](null, "", to);
  tell();
}

const PATIENCE = 1500; // milliseconds until what was loaded again is as long as it was

/** To where the page was when it was left, if one comes back to it; else to its beginning. */
export function scrollBack() {
  const to = history.state?.scrolled ?? 0;
  const until = performance.now() + PATIENCE;
  const { href } = location;
  const scroll = () => {
    if (location.href !== href) return;
    scrollTo(0, to);
    if (scrollY < to - 1 && performance.now() < until) requestAnimationFrame(scroll);
  };
  scroll();
}

function tell() {
  for (const listener of listeners) listener(place());
}

/** The present place, anew on each change. */
export function usePlace() {
  const [now, setNow] = useState(place);
  useEffect(() => {
    listeners.add(setNow);
    return () => listeners.delete(setNow);
  }, []);
  return now;
}

/** Links within the page are followed without loading it anew; all others, and those for a new tab, are left alone. */
export function followLinks() {
  addEventListener("popstate", tell);
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    const plain = event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
    if (!link || !plain || event.defaultPrevented || link.target || link.hasAttribute("download")) return;
    const to = new URL(link.href);
    if (to.origin !== location.origin || to.pathname.startsWith("/api") || to.pathname.startsWith("/static")) return;
    if (to.hash && to.pathname === location.pathname && to.search === location.search) return;
    event.preventDefault();
    go(to.pathname + to.search);
  });
}
