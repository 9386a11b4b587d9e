"""What is found must not become less: the default against the recorded figure, and spreading on against off.

`tests/recorded_recall.json` has the figures, and the commands that give them. Where a change is meant to move them, run
these and write `systems -> aspen -> recall@10` there, in the same commit.
"""

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

ROOT = Path(__file__).parents[2]
RECORDED = json.loads((ROOT / "tests" / "recorded_recall.json").read_text())
SETS: dict[str, tuple[str | None, str | None, tuple[str, ...]]] = {
    "shipped": (None, None, ()),
    "locomo conv-26": ("ASPEN_LOCOMO", "locomo5.json", ("--limit-conversations", "1")),
    "hotpotqa": ("ASPEN_HOTPOTQA", "hotpot_train100", ("--dataset", "beir")),
    "beam": ("ASPEN_BEAM", None, ("--dataset", "beam")),
}
"""The variable that names the path, where the data lies otherwise, and what to measure of it. BEAM takes a quarter of
an hour, and is measured only where it is asked for; a few of its chats would say nothing, they differ too much."""


def test_a_figure_is_recorded_for_every_set() -> None:
    assert list(RECORDED) == list(SETS)


@pytest.mark.parametrize("name", SETS)
def test_the_default_finds_as_much_as_was_recorded_and_spreading_does_no_harm(
    name: str, tmp_path: Path
) -> None:
    try:
        bundled.find_source()
    except MissingDependency as error:
        pytest.skip(str(error))
    variable, file, arguments = SETS[name]
    if variable is not None:
        given = os.environ.get(variable)
        path = Path(given) if given else file and ROOT.parent / "shared" / "data" / file
        if not path or not path.exists():
            pytest.skip(f"the data is not there: {variable} names its path")
        arguments = (*arguments, "--data", str(path))
    recorded = tmp_path / "recorded.json"
    recorded.write_text(json.dumps(RECORDED[name]))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "aspen.cli", "bench", "recall", "-s", "hybrid", "-s", "aspen"),
            *("--gate", "--recorded", str(recorded), *arguments),
        ],
        env={**os.environ, "ASPEN_CACHE": str(Config.from_environment().cache_dir), "ASPEN_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
