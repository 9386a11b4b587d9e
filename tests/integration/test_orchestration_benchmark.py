"""The benchmark of orchestrations runs on one question, and writes what it promises."""

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

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "orchestration.py"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """In its own process, on one thread: other tests may be running."""
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        env={**os.environ, "ASPEN_CACHE": str(Config.from_environment().cache_dir), "ASPEN_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.long
def test_one_question(tmp_path: Path) -> None:
    try:
        bundled.find_source()
    except MissingDependency as error:
        pytest.skip(str(error))
    done = run("--questions", 1, "--json", tmp_path / "out.json", "--plot", tmp_path / "out.png")

    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["questions"] == {"bring": 1, "unchanged": 0}
    assert report["recall_alone"]["expected_in_first_5"]["bring"] == [1, 1]
    (model,) = report["models"]
    assert model == bundled.NAME
    assert report["models"][model].keys() == {"prompt", "tool", "repository"}
    for name, found in report["models"][model].items():
        (row,) = report["rows"][model][name]
        assert found["finished_by_model"] == (row["finished_by"] == "model")
        assert found["expected_in_first_5"]["bring"] == [int(row["place"] is not None), 1]
        assert found["turns"] == row["turns"] > 1
        assert found["prompt_tokens"] == row["prompt_tokens"] > found["reply_tokens"] > 0
        assert row["seconds"] > row["tool_seconds"] > 0
    tokens = {name: found["prompt_tokens"] for name, found in report["models"][model].items()}
    assert tokens["repository"] < tokens["tool"] < tokens["prompt"]
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    assert model in done.stdout


def test_a_model_that_is_not_there_is_one_line_and_an_exit_code(tmp_path: Path) -> None:
    done = run("--model", tmp_path / "nowhere", "--questions", 1, "--json", tmp_path / "out.json")

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and "nowhere" in line
    assert not (tmp_path / "out.json").exists()
