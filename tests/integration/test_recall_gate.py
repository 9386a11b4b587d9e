"""What is found must not become less: the default against the recorded figure, and spreading on against off.

`tests/recorded_recall.json` has the figures, and the commands that give them. Where a change is meant to move them, run
these and write `systems -> aspen -> recall@10` there, and `data` as it stands in the report, in the same commit: with
`data` a figure is compared with one of the same files and questions only. LoCoMo's goes without, as its first
conversation is the same in files of five and of ten.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aspen.benchmarks.datasets import Layout, read_dataset
from aspen.benchmarks.report import described
from aspen.config import Config
from aspen.errors import MissingDependency
from aspen.models import bundled

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
RECORDED = json.loads((ROOT / "tests" / "recorded_recall.json").read_text())
SETS: dict[str, tuple[str | None, str | None, tuple[str, ...]]] = {
    "shipped": (None, None, ()),
    "locomo conv-26": ("ASPEN_LOCOMO", "locomo5.json", ("--limit-conversations", "1")),
    "hotpotqa": ("ASPEN_HOTPOTQA", None, ("--dataset", "beir")),
    "musique": ("ASPEN_MUSIQUE", None, ("--dataset", "beir")),
    "beam": ("ASPEN_BEAM", None, ("--dataset", "beam")),
}
"""The variable that names the path, where the data lies otherwise, and what to measure of it. The last three take five
minutes to a quarter of an hour each, and are measured only where they are asked for."""


def test_a_figure_is_recorded_for_every_set() -> None:
    assert set(RECORDED) == set(SETS)


def test_what_is_recorded_of_the_shipped_set_is_of_that_set() -> None:
    data = described(read_dataset(Layout.LOCOMO, None))
    assert RECORDED["shipped"].get("data", data) == data


@pytest.fixture
def model() -> None:
    try:
        bundled.find_source()
    except MissingDependency as error:
        pytest.skip(str(error))


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `aspen bench` in its own process, on one thread: other tests may be running."""
    return subprocess.run(
        [sys.executable, "-m", "aspen.cli", "bench", *arguments],
        env={**os.environ, "ASPEN_CACHE": str(Config.from_environment().cache_dir), "ASPEN_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize("name", SETS)
def test_the_default_finds_as_much_as_was_recorded_and_spreading_does_no_harm(
    name: str, tmp_path: Path
) -> None:
    variable, file, arguments = SETS[name]
    if variable is not None:
        given = os.environ.get(variable)
        path = Path(given) if given else file and ROOT.parent / "shared" / "data" / file
        if not path or not path.exists():
            pytest.skip(f"the data is not there: {variable} names its path")
        arguments = (*arguments, "--data", str(path))
    recorded = tmp_path / "recorded.json"
    recorded.write_text(json.dumps(RECORDED[name]))
    done = bench("recall", "-s", "hybrid", "-s", "aspen", "--gate", "--recorded", str(recorded), *arguments)
    assert done.returncode == 0, done.stderr + done.stdout


@pytest.mark.parametrize(
    "command",
    [("familiarity",), pytest.param(("cold-start", "--memories", "10"), marks=pytest.mark.long)],
    ids=lambda c: c[0],
)
def test_the_other_gates_hold_on_the_set_that_ships(command: tuple[str, ...], tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    done = bench(*command, "--gate", "--json", str(out))
    assert done.returncode == 0, done.stderr + done.stdout
    # It asked what it was to ask: a gate that measured nothing would hold, too.
    report = json.loads(out.read_text())
    assert report["data"] == described(read_dataset(Layout.LOCOMO, None))
    if command[0] == "familiarity":
        assert report["familiarity"]["answerable"] == sum(report["data"]["questions"].values())
    else:
        assert report["memories"]["10"]["questions"] > 40
        assert "aspen - bm25" in report["memories"]["10"]["differences"]
