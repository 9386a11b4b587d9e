"""What `pip install aspen-memory` brings is enough for the bundled model: torch and transformers are blocked here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

from aspen.errors import MissingDependency
from aspen.models import bundled

pytestmark = pytest.mark.slow

_PROGRAM = """
import sys
for package in ("torch", "transformers"):
    sys.modules[package] = None  # importing it raises ImportError
from aspen import Aspen
with Aspen.open(sys.argv[1], model="bundled") as aspen:
    aspen.remember("My sister Mara moved to Lisbon.", speaker="Ann")
    print(aspen.recall("Where does Mara live?").hits[0].memory.text)
    reply = aspen.chat("Where does my sister live?", seed=7, max_tokens=8)
    print(aspen.replay(reply.trace_id).verified)
"""


def test_remembering_recall_chat_and_replay(tmp_path: Path) -> None:
    try:
        bundled.find_source()
    except MissingDependency as error:
        pytest.skip(str(error))
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(tmp_path / "store.db")],
        capture_output=True,
        text=True,
        env={"ASPEN_CACHE": str(platformdirs.user_cache_path("aspen-tests")), **os.environ},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["My sister Mara moved to Lisbon.", "True"]
