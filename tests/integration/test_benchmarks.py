"""The benchmarks run, write what they promise, and refuse what is no data: on a tiny file, with tiny settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.bench_sets import sample, write_locomo

from aspen.config import Config
from aspen.errors import MissingDependency
from aspen.models import bundled

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CUTOFFS = {"recall@5", "recall@10", "recall@25"}


@pytest.fixture(scope="module", autouse=True)
def _model() -> None:
    try:
        bundled.find_source()
    except MissingDependency as error:
        pytest.skip(str(error))


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a benchmark in its own process, on one thread: other tests may be running."""
    return subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / script), *map(str, arguments)],
        env={**os.environ, "ASPEN_CACHE": str(Config.from_environment().cache_dir), "ASPEN_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_locomo(tmp_path / "locomo.json", "one", "two")


def test_locomo_measures_all_systems(data: Path, tmp_path: Path) -> None:
    done = run("locomo.py", "--data", data, "--json", tmp_path / "out.json", "--plot", tmp_path / "out.png")

    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out.json").read_text())
    systems = report["systems"]
    assert {"bm25", "minilm", "activation", "hybrid", "spreading"} <= set(systems)
    for figures in systems.values():
        assert figures.keys() > CUTOFFS | {"ci95", "category_5", "per_conversation"}
        # Six turns in each conversation: all evidence is among the first ten of whatever ranks all of them.
        assert 0 <= figures["recall@5"] <= figures["recall@10"] <= 100
        assert figures["ci95"].keys() == figures["category_5"].keys() == CUTOFFS
        assert set(figures["per_conversation"]) == {"one", "two"}
    assert systems["spreading"]["recall@10"] == 100
    assert report["unit"] == "percent"
    # Questions whose evidence is no turn are left out; "D2:01; D3:1" are two turns.
    assert report["data"]["questions_by_category"] == {"1": 2, "4": 2, "5": 2}
    assert report["data"]["turns"] == 12
    assert report["machine"]["cores"] and report["versions"]["torch"] and report["command"]
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    assert "spreading - hybrid" in done.stdout


def test_locomo_with_a_part_of_the_data_and_a_store_for_each(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    done = run(
        "locomo.py", "--data", data, "--json", out, "--no-minilm", "--store-per-conversation",
        "--conversations", 1, "--limit", 1,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text())
    assert set(report["systems"]) == {"bm25", "bm25_spreading", "activation", "hybrid", "spreading"}
    assert report["data"]["conversations"] == {"one": 6}
    assert report["data"]["questions_by_category"] == {"4": 1}
    assert report["systems"]["bm25"]["ci95"]["recall@10"] is None  # one conversation has no spread
    assert report["systems"]["bm25"]["category_5"]["recall@10"] is None


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="missing"),
        pytest.param("", id="empty"),
        pytest.param(json.dumps([sample("one")])[:300], id="cut"),
        pytest.param('{"text": "one line of JSONL"}\n{"text": "and another"}\n', id="JSONL"),
        pytest.param('[{"question": "Who?", "answer": "Ann"}]', id="foreign"),
        pytest.param("[]", id="no sample"),
        pytest.param("\x00\xff", id="binary"),
    ],
)
def test_a_file_that_is_no_locomo_is_one_line_and_exit_code_2(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    if content is not None:
        path.write_text(content, encoding="latin-1")

    done = run("locomo.py", "--data", path, "--json", tmp_path / "out.json")

    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and str(path) in line
    assert not (tmp_path / "out.json").exists()


def test_an_output_that_cannot_be_written_is_told_before_the_work(data: Path, tmp_path: Path) -> None:
    done = run("locomo.py", "--data", data, "--json", tmp_path / "nowhere" / "out.json")

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "cannot be written" in line


@pytest.mark.long
def test_overhead_writes_all_its_figures(tmp_path: Path) -> None:
    done = run("overhead.py", "--quick", "--json", tmp_path / "out.json")

    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["capture_tokens_per_second_ratio"] > 0
    depths = report["partial_forward_ratio"]
    assert depths[str(report["n_layers"])] == 1
    assert depths["0"] < depths["15"]
    sizes = report["bytes_per_token"]
    assert 0 < sizes["pooled"] < sizes["int8"] < sizes["fp16"]
    assert report["recall_p95_ms"].keys() == report["recall_p50_ms"].keys()
    assert all(
        0 < report["recall_p50_ms"][size] <= report["recall_p95_ms"][size] for size in report["recall_p50_ms"]
    )
    assert report["write_p50_ms"] > 0
    assert report["machine"]["cpu"] and report["versions"]["aspen-memory"]
    assert "Partial forward pass" in done.stdout


@pytest.mark.long
def test_compression_writes_all_its_curves(tmp_path: Path) -> None:
    done = run("compression.py", "--quick", "--json", tmp_path / "out.json", "--plot", tmp_path / "out.png")

    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out.json").read_text())
    for part, size, coding in (
        ("keys", 6912, "default: whitened, 6 and 16 levels"),
        ("head_keys", 512, "default: transform code, 24 bytes"),
        ("traces", 31 * 576 * 4, "transform code, 115 bytes a layer"),
    ):
        exact, small = report[part]["float32"], report[part][coding]
        assert (exact["bytes"], exact["cosine"]) == (size, 1)
        assert report[part]["int8"]["cosine"] > 0.99
        assert 20 * small["bytes"] <= size
        assert 0.8 < small["cosine"] < 1
    chosen = report["keys"]["default: whitened, 6 and 16 levels"]
    assert 0 <= chosen["whole"] <= 100
    # One conversation: no interval.
    assert chosen["whole_lost_ci95"] is None
    both = report["together"]
    assert both["float32"]["ratio"] == 1
    assert both["default"]["ratio"] >= 20
    assert both["default"]["recall_10"] + both["default"]["recall_10_lost"] == pytest.approx(
        both["float32"]["recall_10"], abs=0.02
    )
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    assert "Head keys" in done.stdout


def test_compression_measures_the_parts_that_are_named(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    done = run("compression.py", "--data", data, "--parts", "together", "--json", out)

    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text())
    assert report.keys() & {"keys", "head_keys", "together", "traces"} == {"together"}
    assert len(report["together"]["default"]["all_10_lost_ci95"]) == 2


@pytest.mark.long
def test_generations_come_out_again_in_fresh_processes(tmp_path: Path) -> None:
    done = run("replay.py", "--count", 3, "--batch", 2, "--max-tokens", 6, "--json", tmp_path / "out.json")

    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("3 of 3 verified\n")
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["processes"] == 2
    assert (report["all"]["generations"], report["all"]["verified"]) == (3, 3)
    assert {row["explanation"].partition(":")[0] for row in report["rows"]} == {"verified"}
    assert len({row["seed"] for row in report["rows"]}) == 3


@pytest.mark.long
def test_runtimes_are_held_side_by_side(data: Path, tmp_path: Path) -> None:
    done = run("runtimes.py", "--quick", "--data", data, "--json", tmp_path / "out.json")

    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out.json").read_text())
    for section in ("first_use", "start", "writing 1", "reading 1", "remembering", "replay"):
        assert list(report[section]) == ["llama.cpp", "transformers"]
    for runtime in ("llama.cpp", "transformers"):
        started = report["start"][runtime]
        assert (
            0
            < started["import_seconds"]
            < started["loaded_s"]
            < started["first_words_s"]
            <= started["reply_s"]
        )
        assert started["peak_mb"] > 50
        assert report["writing 1"][runtime]["recorded_share"] > 0
        assert report["replay"][runtime]["verified"] == report["replay"][runtime]["generations"] == 2
    assert min(report["activations"]["cosine_centred"]) > 0.99
    systems = report["recall"]["systems"]
    assert set(systems) == {
        f"{name}, {runtime}" for name in ("aspen", "activation") for runtime in report["start"]
    }
    assert systems["aspen, llama.cpp"]["recall@10"] == 100
    assert report["machine"]["cpu"] and report["versions"]["xllamacpp"]
    assert "tokens a second written" in done.stdout


def test_recall_in_both_runtimes_needs_data() -> None:
    done = run("runtimes.py", "--parts", "recall")

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and "--data" in line


def test_clients_of_a_server_lose_nothing(tmp_path: Path) -> None:
    asked = ("--seconds", 3, "--clients", 3, "--recalls", 2, "--json", tmp_path / "out.json")
    done = run("server.py", *asked)

    assert done.returncode == 0, done.stderr
    assert "0 errors, 0 writes lost" in done.stdout
    report = json.loads((tmp_path / "out.json").read_text())
    assert (report["errors"], report["lost"]) == ([], [])
    assert [row["requests"] for row in report["alone"].values()] == [2, 2, 2]
    assert {"recall", "remember"} <= report["requests"].keys()
    assert report["memories_written"] > 0


def test_stored_keys_and_values_are_timed_and_held_against_the_text(tmp_path: Path) -> None:
    out, picture = tmp_path / "out.json", tmp_path / "out.png"
    done = run(
        "kv.py", "--tokens", 48, 96, "--rounds", 1, "--prompts", 2, "--json", out, "--plot", picture,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text())
    timed = report["time_to_first_token"]
    assert list(timed) == ["48", "96"]
    for length, found in timed.items():
        assert 0 <= int(length) - found["memory_tokens"] < 24  # the last line is cut between words
        assert found["prompt_tokens"] > found["memory_tokens"]
        assert 0 < found["of_which_reading_ms"] < found["kv_ms"]
        assert found["speedup"] == pytest.approx(found["text_ms"] / found["kv_ms"], abs=0.02)
    levels = report["levels"]
    assert set(levels) == {"none", "fp16", "int8", "int4"}
    sizes = [levels[name]["bytes_per_token"] for name in ("fp16", "int8", "int4")]
    assert sizes[0] > 1.5 * sizes[1] > 1.5 * sizes[2] > 0
    assert all(found["kl_mean"] > 0 and 0 <= found["top1_agreement"] <= 1 for found in levels.values())
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "Time to first token" in done.stdout


def test_stored_keys_and_values_of_a_model_that_is_not_there_are_one_line(tmp_path: Path) -> None:
    done = run("kv.py", "--model", tmp_path / "nowhere", "--json", tmp_path / "out.json")

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and "nowhere" in line
    assert not (tmp_path / "out.json").exists()
