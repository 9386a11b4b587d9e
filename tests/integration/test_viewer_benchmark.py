"""The benchmark of the viewer runs on a small store, and writes what it promises."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aspen.config import Config
from aspen.errors import MissingDependency
from aspen.models import bundled

pytest.importorskip("playwright", reason="needs the driver: pip install playwright")
pytest.importorskip("fastapi", reason="needs the server: pip install 'aspen-memory[server]'")

pytestmark = [pytest.mark.slow, pytest.mark.long]

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "viewer.py"
PAGES = {"conversation", "recall", "graph", "traces", "trace", "memories", "memory", "duplicates", "links",
         "transfer", "health"}  # fmt: skip


def test_pages_and_a_small_graph(tmp_path: Path) -> None:
    try:
        bundled.find_source()
    except MissingDependency as error:
        pytest.skip(str(error))
    arguments = ["--memories", "200", "--loads", "1", "--shown", "100", "--json", tmp_path / "out.json"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        env={**os.environ, "ASPEN_CACHE": str(Config.from_environment().cache_dir), "ASPEN_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if "No Chromium found" in done.stderr:
        pytest.skip(done.stderr)

    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["pages"].keys() == PAGES
    for figures in report["pages"].values():
        assert 0 < figures["first_paint_ms"] <= figures["first_paint_worst_ms"]
        assert figures["content_ms"] > 0
    (graph,) = report["graphs"].values()
    assert graph["memories"] == 100
    assert graph["relations"] > 0
    for movement in ("drag", "zoom", "play"):
        assert graph[movement]["frames"] > 0
        assert graph[movement]["p5_fps"] <= graph[movement]["median_fps"]
    assert report["renderer"] and report["browser"].startswith("Chromium")
    assert report["machine"]["cores"] and report["command"]
    assert "Graph, frames a second" in done.stdout
