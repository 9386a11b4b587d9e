"""Whether a server loses anything that it answered, and how long its clients wait.

    python benchmarks/server.py --seconds 120 --json server.json

`aspen serve` runs in a process of its own, with the bundled model and a store of its own. Clients talk with it at once,
each with requests drawn at random: recalls, chats, new memories, edits that name a version, deletions, pages. Every
answer that is no 2xx is an error. Then the server is told to end, and the store is opened: every memory that was
answered has to be there as it was last answered, each one that was deleted has to be gone.

Before that, one client asks alone: recalls, the same recalls explained, and recalls while a reply is written, in turns
of one after the other, so that what else the machine does meanwhile is shared by all.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2 as httpx
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # `python benchmarks/server.py` from anywhere

from benchmarks._program import exit_code, positive
from benchmarks._serving import serving

from aspen import Aspen
from aspen.benchmarks import output
from aspen.benchmarks.circumstances import circumstances
from aspen.errors import AspenError
from aspen.interchange import import_file

_STORE = Path(__file__).resolve().parents[1] / "src" / "aspen" / "demo" / "creator.jsonl"
_PROMPTS = (
    "What did I draw in spring?",
    "Who do I have dinner with?",
    "How did the exhibition go?",
    "What do I believe about work?",
)
_REPLY_TOKENS = 16
_ALONE = {
    "recall, nothing else": {"explain": False},
    "recall explained, nothing else": {"explain": True},
}
_BESIDE = "recall, while a reply is written"
_LONG_REPLY = 400
_REQUEST_SECONDS = 300.0


@dataclass
class Ledger:
    """What a client was answered: the importance of each of its memories by id, and which were deleted."""

    kept: dict[str, float] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    said: set[str] = field(default_factory=set)


@dataclass
class Figures:
    """Of all clients: seconds by kind of request, and what went wrong."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, kind: str, seconds: float, error: str | None) -> None:
        """Count one request."""
        with self.lock:
            self.seconds[kind].append(seconds)
            if error is not None:
                self.errors.append(f"{kind}: {error}")


class Client:
    """One of those that ask."""

    def __init__(self, number: int, *, url: str, figures: Figures) -> None:
        self.ledger = Ledger()
        self._number, self._figures = number, figures
        self._random = random.Random(number)
        self._http = httpx.Client(base_url=f"{url}api/v1/", timeout=_REQUEST_SECONDS)
        self._turn = 0
        self._kinds: dict[Callable[[], None], int] = {
            self.recall: 40,
            self.remember: 20,
            self.edit: 15,
            self.delete: 10,
            self.page: 10,
            self.chat: 5,
        }

    def work(self, until: float) -> Ledger:
        """Ask until that moment of the monotonic clock."""
        with self._http:
            while time.monotonic() < until:
                (act,) = self._random.choices(list(self._kinds), weights=list(self._kinds.values()))
                act()
        return self.ledger

    def recall(self) -> None:
        """Look for something, half of the time in detail."""
        body = {"prompt": self._random.choice(_PROMPTS), "explain": self._random.random() < 0.5}
        self._ask("recall", "POST", "recall", body)

    def chat(self) -> None:
        """Talk; both memories of the turn have to be there in the end."""
        body = {
            "message": f"{self._random.choice(_PROMPTS)} ({self._number}, {self._next()})",
            "conversation": f"client {self._number}",
            "max_tokens": _REPLY_TOKENS,
        }
        reply = self._ask("chat", "POST", "chat", body)
        if reply is not None:
            self.ledger.said |= {memory["id"] for memory in reply.json()["memories"]}

    def remember(self) -> None:
        """One to four new memories."""
        items = [
            {"text": f"Client {self._number} noted this as number {self._next()}.", "importance": 0.5}
            for _ in range(self._random.randint(1, 4))
        ]
        answer = self._ask("remember", "POST", "memories", {"items": items})
        if answer is not None:
            self.ledger.kept |= {memory["id"]: memory["importance"] for memory in answer.json()["items"]}

    def edit(self) -> None:
        """Change one of its own memories, by the version that it has just read."""
        if self.ledger.kept:
            place = self._random.choice(list(self.ledger.kept))
            read = self._ask("read", "GET", f"memories/{place}")
            if read is not None:
                body = {"importance": self._random.randint(0, 10) / 10}
                headers = {"If-Match": read.headers["etag"]}
                answer = self._ask("edit", "PATCH", f"memories/{place}", body, headers=headers)
                if answer is not None:
                    self.ledger.kept[place] = body["importance"]

    def delete(self) -> None:
        """Forget one of its own memories."""
        if self.ledger.kept:
            place = self._random.choice(list(self.ledger.kept))
            if self._ask("delete", "DELETE", f"memories/{place}") is not None:
                del self.ledger.kept[place]
                self.ledger.deleted.add(place)

    def page(self) -> None:
        """Look through what there is."""
        sort = self._random.choice(["newest", "priority", "used"])
        self._ask("page", "GET", f"memories?sort={sort}&limit=50")

    def _next(self) -> int:
        self._turn += 1
        return self._turn

    def _ask(
        self, kind: str, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None
    ) -> httpx.Response | None:
        """The answer; None where it is an error, which is counted."""
        started, error, answer = time.perf_counter(), None, None
        try:
            answer = self._http.request(method, path, json=body, headers=headers)
            if not answer.is_success:
                error, answer = f"{answer.status_code} {answer.text[:300]}", None
        except httpx.HTTPError as failed:
            error = f"{type(failed).__name__}: {failed}"
        self._figures.note(kind, time.perf_counter() - started, error)
        return answer


def _alone(url: str, figures: Figures, *, times: int) -> None:
    """So many recalls of each kind by one client, first with nothing beside them, then while the model writes."""
    with httpx.Client(base_url=f"{url}api/v1/", timeout=_REQUEST_SECONDS) as client:

        def recall(kind: str, number: int, **options: bool) -> None:
            started = time.perf_counter()
            answer = client.post("recall", json={"prompt": _PROMPTS[number % len(_PROMPTS)], **options})
            error = None if answer.is_success else f"{answer.status_code} {answer.text[:300]}"
            figures.note(kind, time.perf_counter() - started, error)

        for number in range(times):
            for kind, options in sorted(_ALONE.items(), reverse=number % 2 == 0):
                recall(kind, number, **options)
        writing, enough = threading.Event(), threading.Event()
        writer = threading.Thread(target=_write, args=(url, writing, enough))
        writer.start()
        for number in range(times):
            if not writing.wait(_REQUEST_SECONDS):
                figures.note(_BESIDE, _REQUEST_SECONDS, "no reply was written")
                break
            recall(_BESIDE, number)
        enough.set()
        writer.join()


def _write(url: str, writing: threading.Event, enough: threading.Event) -> None:
    """Let the model write one reply after the other, until it is `enough`; `writing` while tokens come."""
    body = {"message": _PROMPTS[0], "remember": False, "max_tokens": _LONG_REPLY}
    headers = {"Accept": "text/event-stream"}
    with httpx.Client(base_url=f"{url}api/v1/", timeout=_REQUEST_SECONDS) as client:
        while not enough.is_set():
            with client.stream("POST", "chat", json=body, headers=headers) as reply:
                for line in reply.iter_lines():
                    if enough.is_set():
                        break  # the connection is closed, and the server stops the model
                    if line == "event: token":
                        writing.set()
                    elif line.startswith("event:"):
                        writing.clear()


def _lost(store: Path, ledgers: Sequence[Ledger]) -> list[str]:
    """What the store does not have as it was answered."""
    lost = []
    with Aspen.open(store) as aspen:
        for ledger in ledgers:
            known = aspen.repository.known([*ledger.kept, *ledger.deleted, *ledger.said])
            lost += [f"{id_} is gone" for id_ in (*ledger.kept, *ledger.said) if id_ not in known]
            lost += [f"{id_} came back" for id_ in ledger.deleted if id_ in known]
            for memory in aspen.repository.get([id_ for id_ in ledger.kept if id_ in known]):
                if memory.importance != ledger.kept[memory.id]:
                    lost.append(f"{memory.id} has an older importance")
        lost += aspen.repository.check()
    return lost


def run(arguments: argparse.Namespace) -> None:
    """Measure, print, write. AspenError where there was an error, or something was lost."""
    output.check_output(arguments.json)
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="aspen-server-") as folder:
        store = Path(folder) / "store.db"
        output.note("filling the store")
        with Aspen.open(store) as aspen:
            import_file(aspen, _STORE)
        with serving(store) as url, ThreadPoolExecutor(arguments.clients) as pool:
            httpx.post(
                f"{url}api/v1/recall", json={"prompt": _PROMPTS[0]}, timeout=_REQUEST_SECONDS
            )  # loads the model
            output.note(f"one client, {arguments.recalls} recalls of each kind")
            alone = Figures()
            _alone(url, alone, times=arguments.recalls)
            figures.errors += alone.errors
            output.note(f"{arguments.clients} clients for {arguments.seconds} seconds")
            until = time.monotonic() + arguments.seconds
            clients = [Client(number, url=url, figures=figures) for number in range(arguments.clients)]
            ledgers = list(pool.map(lambda client: client.work(until), clients))
        lost = _lost(store, ledgers)
    by_itself, rows = (
        _shown(alone, title="One client"),
        _shown(
            figures,
            title=f"{arguments.clients} clients, {arguments.seconds} s",
            caption=f"{len(figures.errors)} errors, {len(lost)} writes lost",
        ),
    )
    head = circumstances(title="server", command=["python", "benchmarks/server.py", *sys.argv[1:]])
    written = sum(len(one.kept) + len(one.deleted) + len(one.said) for one in ledgers)
    found = {
        "clients": arguments.clients,
        "seconds": arguments.seconds,
        "alone": by_itself,
        "requests": rows,
        "memories_written": written,
        "errors": figures.errors[:50],
        "lost": lost[:50],
    }
    output.write_json(arguments.json, {**head, **found})
    if figures.errors or lost:
        raise AspenError(
            f"{len(figures.errors)} requests failed and {len(lost)} writes were lost.",
            hint="; ".join([*figures.errors[:3], *lost[:3]]),
        )


def _shown(figures: Figures, *, title: str, caption: str = "") -> dict[str, dict[str, float]]:
    """Print a table, and return its rows by kind of request."""
    rows = {kind: _row(seconds) for kind, seconds in sorted(figures.seconds.items())}
    columns = ["requests", "p50_ms", "p95_ms", "p99_ms", "most_ms"]
    told = [[kind, *(f"{row[column]:,}" for column in columns)] for kind, row in rows.items()]
    output.table(title, ["request", *columns], told, caption=caption)
    return rows


def _row(seconds: Sequence[float]) -> dict[str, float]:
    """How many, and milliseconds."""
    p50, p95, p99 = (round(float(np.percentile(seconds, share)) * 1000, 1) for share in (50, 95, 99))
    most = round(max(seconds) * 1000, 1)
    return {"requests": len(seconds), "p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "most_ms": most}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seconds", type=positive, default=120, help="how long the clients ask (default: 120)"
    )
    parser.add_argument("--clients", type=positive, default=20, help="how many ask at once (default: 20)")
    parser.add_argument(
        "--recalls", type=positive, default=100, help="of each kind by one client alone (default: 100)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here")
    return parser


if __name__ == "__main__":
    sys.exit(exit_code(lambda: run(_parser().parse_args())))
