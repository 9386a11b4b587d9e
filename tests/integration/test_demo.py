"""The demo as a person starts it: two processes, real replies, a verified replay."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import platformdirs
import pytest

from aspen.errors import MissingDependency
from aspen.models import RUNTIMES, bundled

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module", params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def story(folder: Path, runtime: str) -> Path:
    return folder / f"{runtime}.db"


@pytest.fixture(scope="module")
def played(story: Path, runtime: str) -> subprocess.CompletedProcess[str]:
    try:
        bundled.find_source()
    except MissingDependency as error:
        pytest.skip(str(error))
    picture = story.with_suffix(".svg")
    return _demo("--quick", "--store", str(story), "--svg", str(picture), ASPEN_RUNTIME=runtime)


def _demo(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "ASPEN_CACHE": str(platformdirs.user_cache_path("aspen-tests")),
        **os.environ,
        "COLUMNS": "80",
        "PYTHONIOENCODING": "utf-8",
        **settings,
    }
    return subprocess.run(
        [sys.executable, "-m", "aspen.cli", "demo", *arguments],
        capture_output=True,
        encoding="utf-8",
        env=environment,
        timeout=900,
        check=False,
    )


def test_it_plays_to_the_end(played: subprocess.CompletedProcess[str]) -> None:
    assert played.returncode == 0, played.stderr
    assert "Played in" in played.stdout


def test_each_part_has_a_process_of_its_own(played: subprocess.CompletedProcess[str]) -> None:
    first, second = re.findall(r"Process (?:one|two): process (\d+)", played.stdout)
    assert first != second


def test_a_trace_of_the_first_process_is_verified_in_the_second(
    played: subprocess.CompletedProcess[str],
) -> None:
    second = played.stdout.split("Process two")[1]
    assert "verified: with seed" in second
    assert "the same tokens and bit-equal activations came out" in " ".join(second.split())


def test_memory_makes_the_replies_right(played: subprocess.CompletedProcess[str]) -> None:
    (with_memory, asked, without) = re.findall(
        r"in (\d+) of (\d+) replies with memory, and in (\d+) of", " ".join(played.stdout.split())
    )[0]
    # One may fail: another processor rounds otherwise, and may draw another reply.
    assert int(with_memory) >= int(asked) - 1 > int(without)


def test_a_hit_is_found_that_text_matching_alone_would_miss(played: subprocess.CompletedProcess[str]) -> None:
    assert "✗ no word" in played.stdout
    assert "by spreading: “" in " ".join(played.stdout.split())


def test_a_pipe_gets_plain_text_within_80_columns(played: subprocess.CompletedProcess[str]) -> None:
    assert "\x1b" not in played.stdout
    long = [line for line in played.stdout.splitlines() if len(line) > 80]
    assert [line for line in long if not line.startswith("Go on with: ")] == []


def test_it_names_the_store_and_what_to_try_next(
    played: subprocess.CompletedProcess[str], story: Path
) -> None:
    assert story.is_file()
    (line,) = (line for line in played.stdout.splitlines() if line.startswith("Go on with: "))
    assert f"aspen chat --store {story}" in line


def test_the_picture_is_a_small_svg(played: subprocess.CompletedProcess[str], story: Path) -> None:
    assert played.returncode == 0
    picture = story.with_suffix(".svg")
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")
    assert picture.stat().st_size < 150_000


def test_a_store_that_is_there_is_left_alone(tmp_path: Path) -> None:
    store = tmp_path / "mine.db"
    store.write_bytes(b"mine")
    refused = _demo("--store", str(store))
    assert refused.returncode == 2
    assert "exists" in refused.stderr
    assert store.read_bytes() == b"mine"
