"""A headless Chromium, and what it tells of a page: when it paints, when its content is there, how it moves."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from aspen.errors import AspenError

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_SIZE: ViewportSize = {"width": 1280, "height": 860}
_PATIENCE = 180_000  # milliseconds
_WARM = 8  # frames before a movement is counted: the pipeline is then as full as it gets

# Runs before anything of the page. Each frame it looks whether the content is there, and notes when: milliseconds since
# the address was asked for.
_WATCH = """
window.__there = null;
(function look() {
  const there = document.querySelector('main h1') && document.querySelector(%r)
    && !document.querySelector('.busy');
  if (there) window.__there = performance.now();
  else requestAnimationFrame(look);
})();
"""
# A frame counts where WebGL drew in it: what the page does not draw says nothing about how smoothly it moves.
_COUNT = """() => {
  const frames = window.__frames = [];
  let drew = false;
  if (!window.__hooked) {
    window.__hooked = true;
    for (const name of ['drawArrays', 'drawElements', 'drawArraysInstanced', 'drawElementsInstanced']) {
      const draw = WebGL2RenderingContext.prototype[name];
      WebGL2RenderingContext.prototype[name] = function (...given) {
        window.__drew?.();
        return draw.apply(this, given);
      };
    }
  }
  window.__drew = () => { drew = true; };
  window.__counting = true;
  let last = null;
  requestAnimationFrame(function count(now) {
    if (drew) {
      if (last !== null) frames.push(now - last);
      last = now;
      drew = false;
    }
    if (window.__counting) requestAnimationFrame(count);
  });
}"""
_COUNTED = "() => { window.__counting = false; return window.__frames; }"
# One event of the mouse for each frame, as a browser hands them on.
_DRAG = """async (seconds) => {
  const mouse = document.querySelector('.graph-box .sigma-mouse');
  const { x, y } = mouse.getBoundingClientRect();
  const send = (kind, at) => mouse.dispatchEvent(new MouseEvent(kind, { clientX: x + 150 + 160 * Math.sin(at),
    clientY: y + 150 + 120 * Math.cos(at), bubbles: true, cancelable: true, buttons: 1 }));
  const began = performance.now();
  send('mousedown', 0);
  for (let now = began; now < began + 1000 * seconds; ) {
    send('mousemove', (now - began) / 400);
    now = await new Promise(requestAnimationFrame);
  }
  send('mouseup', seconds / 0.4);
}"""
_RENDERER = """() => {
  const gl = document.createElement('canvas').getContext('webgl2');
  const info = gl && gl.getExtension('WEBGL_debug_renderer_info');
  return gl ? gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER) : 'none';
}"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser; AspenError where none is installed."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        raise AspenError("No Chromium found.", hint="apt-get install -y --no-install-recommends chromium")
    flags = ["--enable-unsafe-swiftshader"]  # WebGL by the processor, where there is no graphics card
    flags += ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Browser, url: str, *, content: str) -> Iterator[Page]:
    """A page in a browser that has seen nothing before; `content` is a selector of what it is to show."""
    with browser.new_context(viewport=_SIZE) as context:
        context.set_default_timeout(_PATIENCE)
        context.add_init_script(_WATCH % content)
        page = context.new_page()
        page.goto(url)
        page.wait_for_function("() => window.__there !== null")
        yield page


def load(browser: Browser, url: str, *, content: str) -> dict[str, float]:
    """Milliseconds from asking for the address to the first contentful paint, and until its content is there."""
    with opened(browser, url, content=content) as page:
        paint: float = page.evaluate(
            "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"
        )
        return {"first_paint_ms": paint, "content_ms": page.evaluate("() => window.__there")}


def renderer(browser: Browser) -> str:
    """Who draws WebGL."""
    with browser.new_context() as context:
        name: str = context.new_page().evaluate(_RENDERER)
        return name


def drag(page: Page, *, seconds: float) -> None:
    """Drag the graph in circles, faster than a hand would."""
    page.evaluate(_DRAG, seconds)


def frames(page: Page, move: Callable[[], None]) -> list[float]:
    """Milliseconds between the frames in which the page drew, while `move` moves it."""
    page.evaluate(_COUNT)
    move()
    found: list[float] = page.evaluate(_COUNTED)
    return found[_WARM:] or found


def rates(intervals: Sequence[float]) -> dict[str, float]:
    """Frames a second: the mean, the median, and what 95 of 100 frames reach (p5)."""
    middle, slow = np.percentile(intervals, [50, 95])
    return {
        "mean_fps": round(1000 / float(np.mean(intervals)), 1),
        "median_fps": round(1000 / float(middle), 1),
        "p5_fps": round(1000 / float(slow), 1),
        "frames": len(intervals),
    }
