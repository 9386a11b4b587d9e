from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.bench_sets import write_beam, write_beir, write_locomo
from tests.cli_run import Cli

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


def test_bench_alone_shows_its_help(cli: Cli) -> None:
    result = cli("bench")
    assert result.code == 0
    assert result.out == cli("bench", "--help").out
