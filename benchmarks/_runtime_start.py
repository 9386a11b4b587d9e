"""From starting Python to the last word of a reply, as a person waits for it; a process of its own for `runtimes.py`.

    python benchmarks/_runtime_start.py STARTED STORE

STARTED is what `time.monotonic` said when the process was started: that clock is the machine's, not the process's.
Nothing but the clock is imported before Aspen.
"""

from __future__ import annotations

import importlib
import sys
import time


def main(started: float, store: str) -> None:
    """Import, load, answer; seconds since `started` as one line of JSON."""
    begun = time.monotonic()
    aspen = importlib.import_module("aspen")
    imported = time.monotonic()
    heard: list[float] = []
    with aspen.Aspen.open(store, model="bundled") as opened:
        opened.engine  # noqa: B018 - loads the model and what recall needs, which `chat` would do as well
        loaded = time.monotonic()
        reply = opened.chat(
            "Tell me a story about a lighthouse keeper.",
            seed=7,
            max_tokens=48,
            on_text=lambda text: heard.append(time.monotonic()),
        )
        ended = time.monotonic()
    found = {
        "import_seconds": round(imported - begun, 3),
        "loaded_s": round(loaded - started, 3),
        "first_words_s": round(heard[0] - started, 3),
        "reply_s": round(ended - started, 3),
        "reply_tokens": reply.reply_tokens,
    }
    found["peak_mb"] = round(_peak_bytes() / 1e6, 1)
    print(importlib.import_module("json").dumps(found))


def _peak_bytes() -> int:
    sys.path.insert(0, __file__.rpartition("/benchmarks/")[0])
    peak: int = importlib.import_module("benchmarks._peak").peak_bytes()
    return peak


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2])
