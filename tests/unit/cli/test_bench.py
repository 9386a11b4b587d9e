from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.bench_sets import write_beam, write_beir, write_locomo
from tests.cli_run import Cli

from aspen.benchmarks import gate

MEASURES = {"recall@5", "recall@10", "recall@25", "all_recall@10", "ndcg@10", "mrr"}


@pytest.fixture
def locomo(tmp_path: Path) -> Path:
    return write_locomo(tmp_path / "locomo.json", "one", "two")


def test_recall_prints_tables_and_writes_its_figures(cli: Cli, locomo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    result = cli(
        "bench", "recall", "--dataset", "locomo", "--data", str(locomo), "-s", "product", "--json", str(out)
    )  # fmt: skip

    assert result.code == 0, result.err
    assert "aspen - hybrid" in result.out
    report = json.loads(out.read_text())
    assert list(report["systems"]) == ["bm25", "bm25_spreading", "activation", "hybrid", "aspen"]
    for figures in report["systems"].values():
        assert figures.keys() == MEASURES | {"ci95", "write_ms", "query_ms", "per_kind", "per_group"}
        assert figures["ci95"].keys() == MEASURES
        assert set(figures["per_kind"]) == {"adversarial", "multi-hop", "single-hop"}
        assert set(figures["per_group"]) == {"one", "two"}
    assert report["data"]["files"].keys() == {"locomo.json"}
    assert report["model"] == "fake-0"
    assert report["machine"]["cores"] and report["versions"]["numpy"] and report["command"] and report["date"]


def test_recall_of_passages_and_of_chats(cli: Cli, tmp_path: Path) -> None:
    for layout, folder in (("beir", write_beir(tmp_path / "p")), ("beam", write_beam(tmp_path / "c"))):
        out = tmp_path / f"{layout}.json"
        result = cli(
            "bench", "recall", "--dataset", layout, "--data", str(folder), "-s", "bm25", "--json", str(out)
        )
        assert result.code == 0, result.err
        assert json.loads(out.read_text())["data"]["name"] == layout


def test_a_part_of_the_data(cli: Cli, locomo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    limits = ("--limit-questions", "1", "--limit-conversations", "1")
    result = cli("bench", "recall", "--data", str(locomo), *limits, "-s", "bm25", "--json", str(out))
    assert result.code == 0, result.err
    report = json.loads(out.read_text())
    assert report["data"]["conversations"] == {"one": 6}
    assert report["data"]["questions"] == {"single-hop": 1}
    assert report["systems"]["bm25"]["ci95"]["recall@10"] is None


def test_your_own_store_is_not_touched(cli: Cli, locomo: Path, tmp_path: Path) -> None:
    assert cli("bench", "recall", "--data", str(locomo), "-s", "bm25").code == 0
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(("-s", "bm24"), "no system 'bm24'", id="system"),
        pytest.param(("--data", "nowhere.json"), "cannot be read", id="data"),
        pytest.param(("--dataset", "beir"), "with --data", id="nothing ships"),
        pytest.param(("--json", "nowhere/out.json"), "cannot be written", id="json"),
        pytest.param(("--plot", "nowhere/out.png"), "cannot be written", id="plot"),
        pytest.param(("--limit-questions", "0"), "--limit-questions", id="limit"),
    ],
)
def test_what_is_refused_is_one_line_before_the_work(
    cli: Cli, arguments: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = cli("bench", "recall", *arguments)
    assert result.code == 2
    assert result.out == ""
    (line,) = result.err.splitlines()
    assert line.startswith("error: ")  # with --json too, which names a file here
    assert said in line


def test_familiarity_prints_tables_and_writes_its_figures(cli: Cli, locomo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    result = cli("bench", "familiarity", "--data", str(locomo), "--json", str(out))

    assert result.code == 0, result.err
    assert "AUROC" in result.out and "observed" in result.out
    report = json.loads(out.read_text())
    # Equal conversations: no question belongs to one more than to the other.
    assert report["familiarity"]["auroc"] == 0.5
    assert report["familiarity"]["answerable"] == report["familiarity"]["unanswerable"] == 4
    assert len(report["familiarity"]["reliability"]) == 5
    assert report["stores"] == "one for each conversation"
    assert report["model"] == "fake-0" and report["command"] and report["data"]["files"]

    gated = cli("bench", "familiarity", "--data", str(locomo), "--gate")
    assert gated.code == 1
    assert gated.out == result.out
    assert gated.err.splitlines()[-1] == "gate: The AUROC is 0.5, not 0.9 or more."


def test_cold_start_prints_tables_and_writes_its_figures(cli: Cli, locomo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    arguments = ("--data", str(locomo), "--memories", "6, 2,50", "--json", str(out))
    result = cli("bench", "cold-start", *arguments)

    assert result.code == 0, result.err
    report = json.loads(out.read_text())
    assert list(report["memories"]) == ["2", "6"]
    for part in report["memories"].values():
        assert list(part["systems"]) == ["bm25", "activation", "aspen"]
        measures = {"recall@1", "recall@5", "recall@10", "all_recall@10", "ndcg@10", "mrr"}
        for figures in part["systems"].values():
            assert figures.keys() == measures | {"ci95"}
    assert report["memories"]["6"]["systems"]["aspen"]["recall@10"] == 100
    assert report["model"] == "fake-0"


def test_cold_start_of_named_systems_with_those_that_the_gate_compares(
    cli: Cli, locomo: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.json"
    only = ("-s", "hybrid", "--limit-conversations", "1", "--memories", "6", "--json", str(out))
    assert cli("bench", "cold-start", "--data", str(locomo), *only).code == 0
    assert list(json.loads(out.read_text())["memories"]["6"]["systems"]) == ["hybrid"]
    assert cli("bench", "cold-start", "--data", str(locomo), *only, "--gate").code == 0
    assert list(json.loads(out.read_text())["memories"]["6"]["systems"]) == ["hybrid", "aspen", "bm25"]


def test_the_gate_fails_where_a_young_store_finds_less_than_words(
    cli: Cli, locomo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("bench", "cold-start", "--data", str(locomo), "--memories", "6", "-s", "bm25")
    monkeypatch.setattr(gate, "verdict", lambda difference, *, measure="recall@10": "lower")
    result = cli(*arguments, "--gate")
    assert result.code == 1
    assert "gate: With 6 memories aspen - bm25 is 0.0 points" in result.err
    assert cli(*arguments).code == 0


@pytest.mark.parametrize(("fallen", "code"), [(False, 0), (True, 1)])
def test_the_gate_fails_where_spreading_does_harm(
    cli: Cli, locomo: Path, fallen: bool, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "verdict", lambda difference: "lower" if fallen else "within noise")
    result = cli("bench", "recall", "--data", str(locomo), "-s", "bm25", "--gate")
    assert result.code == code
    assert "aspen - hybrid" in result.out  # both are measured, whatever was named
    assert ("gate: Spreading does harm" in result.err) is fallen
    assert cli("bench", "recall", "--data", str(locomo), "-s", "bm25").code == 0


def test_less_than_was_recorded_fails(cli: Cli, locomo: Path, tmp_path: Path) -> None:
    recorded = tmp_path / "recorded.json"
    arguments = ("bench", "recall", "--data", str(locomo), "-s", "bm25")
    assert cli(*arguments, "--json", str(recorded)).code == 0
    assert cli(*arguments, "--recorded", str(recorded)).code == 0

    report = json.loads(recorded.read_text())
    report["systems"]["bm25"]["recall@10"] += 3.5
    recorded.write_text(json.dumps(report))
    result = cli(*arguments, "--recorded", str(recorded))
    assert result.code == 1
    assert "gate: bm25 finds 100.0 % at recall@10; recorded were 103.5 %." in result.err

    other = cli(*arguments, "--limit-questions", "1", "--recorded", str(recorded))
    assert other.code == 2
    assert "other data" in other.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(("familiarity", "--limit-conversations", "1"), "needs 2", id="one conversation"),
        pytest.param(("familiarity", "--dataset", "beir"), "with --data", id="nothing ships"),
        pytest.param(("familiarity", "--plot", "nowhere/out.png"), "cannot be written", id="plot"),
        pytest.param(("cold-start", "--memories", "ten"), "--memories", id="no number"),
        pytest.param(("cold-start", "--memories", "10,,50"), "--memories", id="no number between"),
        pytest.param(("cold-start", "--memories", "0"), "--memories", id="nothing"),
        pytest.param(("cold-start", "--memories", "1000"), "within 1000 memories", id="longer than all"),
        pytest.param(("cold-start", "-s", "bm24"), "no system 'bm24'", id="system"),
        pytest.param(("recall", "--recorded", "nowhere.json"), "is no report", id="recorded"),
    ],
)
def test_what_the_others_refuse_is_one_line_before_the_work(
    cli: Cli, arguments: tuple[str, ...], said: str
) -> None:
    result = cli("bench", *arguments)
    assert result.code == 2
    assert result.out == ""
    (line,) = result.err.splitlines()
    assert line.startswith("error: ")
    assert said in line


def test_bench_alone_shows_its_help(cli: Cli) -> None:
    result = cli("bench")
    assert result.code == 0
    for command in ("recall", "familiarity", "cold-start"):
        assert f"\n    aspen bench {command} " in result.out
    assert result.out == cli("bench", "--help").out
