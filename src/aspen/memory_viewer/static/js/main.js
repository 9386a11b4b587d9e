// The frame of the page: where one can go, and what is there. Each page is loaded when it is first gone to.

import { html, render, useEffect, useRef, useState } from "../vendor/view.js";
import { cut } from "./format.js";
import { Busy, Told, Trouble } from "./parts/feedback.js";
import { useKeptFocus, useTheme } from "./parts/hooks.js";
import { followLinks, scrollBack, usePlace } from "./router.js";

const PAGES = {
  conversation: { word: "Conversation", load: () => import("./pages/conversation/page.js") },
  recall: { word: "Recall", load: () => import("./pages/recall/page.js") },
  graph: { word: "Graph", load: () => import("./pages/graph/page.js"), full: true },
  trace: { word: "Trace", load: () => import("./pages/trace/page.js") },
  memories: { word: "Memories", load: () => import("./pages/memories/page.js") },
  health: { word: "Health", load: () => import("./pages/health/page.js") },
};

const NOT_LOADED = { detail: "This page could not be loaded.", hint: "Is `aspen serve` still running? Then reload." };

function ThemeSwitch() {
  const theme = useTheme();
  const other = theme === "dark" ? "light" : "dark";
  const choose = () => {
    try {
      localStorage.setItem("aspen-theme", other);
    } catch {
      // Where storage is refused, the choice lasts as long as the page.
    }
    document.documentElement.dataset.theme = other;
    document.dispatchEvent(new CustomEvent("aspen-theme"));
  };
  return html`<button class="icon" aria-label=${`Show it ${other}`} title=${`Show it ${other}`} onClick=${choose}>
    <svg viewBox="0 0 20 20" aria-hidden="true">
      <circle cx="10" cy="10" r="7.5" class="outline" /><path d="M10 2.5a7.5 7.5 0 0 1 0 15z" />
    </svg>
  </button>`;
}

function Frame() {
  const place = usePlace();
  const name = place.page in PAGES ? place.page : null;
  const [loaded, setLoaded] = useState({});
  const [problem, setProblem] = useState(null);
  const content = useRef(null);
  const first = useRef(true);
  useKeptFocus(content);

  useEffect(() => {
    const within = place.rest.length ? `: ${cut(place.rest.join("/"), 40)}` : "";
    document.title = name ? `${PAGES[name].word}${within} · Aspen` : "Not found · Aspen";
    if (!first.current) {
      content.current?.focus({ preventScroll: true });
      scrollBack();
    }
    first.current = false;
    setProblem(null);
    if (!name || loaded[name]) return;
    PAGES[name].load().then(
      (module) => setLoaded((before) => ({ ...before, [name]: module.Page })),
      () => setProblem(NOT_LOADED),
    );
  }, [name, place.rest.join("/")]);

  const Page = name && loaded[name];
  const skip = (event) => {
    event.preventDefault();
    content.current.focus();
  };
  return html`
    <a class="skip" href="#content" onClick=${skip}>Skip to the content</a>
    <header class="head">
      <a class="brand" href="/conversation"><img src="/static/leaf.svg" alt="" />Aspen</a>
      <nav class="places" aria-label="Pages">
        ${Object.entries(PAGES).map(
          ([key, page]) => html`<a key=${key} href=${`/${key}`}
            aria-current=${key === name ? "page" : undefined}>${page.word}</a>`,
        )}
      </nav>
      <${ThemeSwitch} />
    </header>
    <main id="content" ref=${content} tabindex="-1" class=${name && PAGES[name].full ? "full" : ""}>
      ${name ? null : html`<h1>There is no such page</h1><p>Choose one above.</p>`}
      <${Trouble} problem=${problem} />
      ${Page ? html`<${Page} key=${name} place=${place} />` : name && !problem ? html`<${Busy} />` : null}
    </main>
    <${Told} />
  `;
}

followLinks();
render(html`<${Frame} />`, document.getElementById("page"));
