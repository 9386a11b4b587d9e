"""How long spreading activation takes: over a graph in memory, from a SQLite file, inside Postgres.

    python benchmarks/spreading.py --json spreading.json --plot spreading.png

Graphs of 1,000 to 100,000 memories with ten relations each, few of which belong to very many (a power law). 20 seeds,
2 hops, a fan of 64. The three homes answer the same questions in turn, and must give the same activation.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # `python benchmarks/spreading.py` from anywhere

from benchmarks import _graphs
from benchmarks._postgres import local_server
from benchmarks._program import exit_code, positive

from aspen.benchmarks import output
from aspen.benchmarks.circumstances import circumstances
from aspen.benchmarks.plotting import check_plotting, plot_growth
from aspen.errors import AspenError
from aspen.memory_graph import Activated, SpreadingSettings, TypedGraph, spread_activation, spread_in
from aspen.repository import EdgeRows, Repository, open_repository

_EDGES_EACH = 10
_SEEDS, _TOP = 20, 10
_SAME = 1e-9
_SETTINGS = SpreadingSettings()

Spread = Callable[[Mapping[int, float]], Activated]


@dataclass(frozen=True)
class Home:
    """A place where activation spreads, and how long that took, in seconds."""

    name: str
    spread: Spread
    seconds: list[float]


def _questions(n_nodes: int, count: int) -> Iterator[dict[int, float]]:
    """Seeds with their activations, drawn from all memories."""
    random = np.random.default_rng(n_nodes)
    for _ in range(count):
        seqs = random.choice(n_nodes, size=_SEEDS, replace=False) + 1
        yield dict(zip(seqs.tolist(), random.uniform(0.2, 1.0, size=_SEEDS).tolist(), strict=True))


def _asked(home: Home, seeds: Mapping[int, float]) -> Activated:
    """Spread, and tell the best ten with their paths, as a recall does."""
    started = time.perf_counter()
    found = home.spread(seeds)
    for row in found.top(_TOP).tolist():
        found.paths_to(int(found.nodes[row]))
    home.seconds.append(time.perf_counter() - started)
    return found


def _check_equal(found: Mapping[str, Activated]) -> None:
    """AspenError where two homes say different things."""
    first, *others = found.values()
    for name, other in zip(list(found)[1:], others, strict=True):
        same_nodes = np.array_equal(first.nodes, other.nodes)
        if not (same_nodes and np.allclose(first.values, other.values, rtol=_SAME, atol=0)):
            raise AspenError(f"{name} gives other activations than {next(iter(found))}.")


def measure(homes: list[Home], *, n_nodes: int, rounds: int) -> dict[str, dict[str, float]]:
    """p50 and p95 of each home in milliseconds. The first question of each is not counted: it opens connections."""
    for seeds in _questions(n_nodes, rounds + 1):
        _check_equal({home.name: _asked(home, seeds) for home in homes})
    return {
        home.name: {
            "p50_ms": round(float(np.percentile(home.seconds[1:], 50)) * 1000, 2),
            "p95_ms": round(float(np.percentile(home.seconds[1:], 95)) * 1000, 2),
        }
        for home in homes
    }


@contextmanager
def _homes(
    folder: Path, server: str | None, types: list[str], edges: EdgeRows
) -> Iterator[tuple[list[Home], float]]:
    """All homes filled with one graph, and the seconds that building it in memory took."""
    nodes = np.arange(1, len(types) + 1)
    started = time.perf_counter()
    graph = TypedGraph.of(nodes, types=types, edges=edges)
    building = time.perf_counter() - started

    def in_store(store: Repository) -> Spread:
        return lambda seeds: spread_in(store, seeds, settings=_SETTINGS)

    with ExitStack() as open_stores:
        homes = [Home("memory", lambda seeds: spread_activation(graph, seeds, settings=_SETTINGS), [])]
        stores = {"sqlite": str(folder / f"{len(types)}.db")}
        if server is not None:
            stores["postgres"] = f"{server}?tenant=nodes{len(types)}"
        for name, location in stores.items():
            store = open_stores.enter_context(open_repository(location))
            output.note(f"filling {name} with {len(types):,} memories and {len(edges.sources):,} relations")
            _graphs.fill(store, types, edges)
            homes.append(Home(name, in_store(store), []))
        yield homes, building


def run(arguments: argparse.Namespace) -> None:
    """Measure, print, write."""
    output.check_output(arguments.json)
    if arguments.plot:
        check_plotting(arguments.plot)
    sizes: dict[str, dict[str, object]] = {}
    timed: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        server = None if arguments.no_postgres else running.enter_context(local_server())
        for n_nodes in arguments.nodes:
            types, edges = _graphs.power_law(n_nodes, n_nodes * _EDGES_EACH)
            with _homes(Path(folder), server, types, edges) as (homes, building):
                timed[str(n_nodes)] = measure(homes, n_nodes=n_nodes, rounds=arguments.rounds)
            degrees = np.unique(edges.sources, return_counts=True)[1]
            sizes[str(n_nodes)] = {
                "edges": len(edges.sources),
                "largest_hub": int(degrees.max()),
                "build_in_memory_ms": round(building * 1000, 1),
            }
    names = list(next(iter(timed.values())))
    report = {
        **circumstances(title="spreading", command=["python", *sys.argv]),
        "seeds": _SEEDS,
        "hops": _SETTINGS.max_hops,
        "fan": _SETTINGS.fan,
        "graphs": sizes,
        **{
            key: {name: {size: figures[name][key] for size, figures in timed.items()} for name in names}
            for key in ("p50_ms", "p95_ms")
        },
    }
    output.table(
        f"Spreading activation, ms (p50 / p95): {_SEEDS} seeds, {_SETTINGS.max_hops} hops, fan {_SETTINGS.fan}",
        ["memories", "relations", *names],
        [
            [f"{int(size):,}", f"{sizes[size]['edges']:,}"]
            + [f"{figures[name]['p50_ms']} / {figures[name]['p95_ms']}" for name in names]
            for size, figures in timed.items()
        ],
    )
    output.write_json(arguments.json, report)
    if arguments.plot:
        plot_growth(
            arguments.plot,
            {name: {int(size): figures[name]["p50_ms"] for size, figures in timed.items()} for name in names},
            title="Spreading activation: 20 seeds, 2 hops",
            across="memories, ten relations each",
            up="p50, ms",
        )


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", type=Path, help="write all figures here")
    made.add_argument("--plot", type=Path, help="draw them here (.png, .svg, .pdf)")
    made.add_argument(
        "--nodes", type=positive, nargs="+", default=[1000, 10_000, 100_000], help="sizes of the graphs"
    )
    made.add_argument("--rounds", type=positive, default=40, help="questions to each graph")
    made.add_argument("--no-postgres", action="store_true", help="leave Postgres out")
    return made


if __name__ == "__main__":
    parsed = parser().parse_args()
    sys.exit(exit_code(lambda: run(parsed)))
