"""`aspen map`."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli_run import Cli


@pytest.fixture
def ids(cli: Cli) -> list[str]:
    """Traces of two chats, the later first."""
    for name in ("Mara", "Paul"):
        assert cli("chat", f"Where is {name}?", "-c", name, "--seed", "3", "--max-tokens", "6").code == 0
    return [trace["id"] for trace in cli("traces", "--json").json["traces"]]


def test_a_map_is_shown_in_shades(cli: Cli, ids: list[str]) -> None:
    lines = cli("map", ids[0]).out.splitlines()
    assert lines[0] == f"{ids[0]}, Paul: norm, length of the residual stream"
    assert [line.split()[1] for line in lines[1:5]] == ["3", "2", "1", "0"]
    assert " and more" in lines[5]
    assert lines[6].strip().startswith("most at token ")


def test_a_map_as_json_has_null_where_there_is_no_value(cli: Cli, ids: list[str]) -> None:
    document = cli("map", ids[0], "--measure", "resonance", "--prompt", "Where is Paul?", "--json").json
    assert set(document) == {
        "title", "measure", "unit", "layers", "tokens", "values", "segments", "prompt",
    }  # fmt: skip
    assert len(document["values"]) == len(document["layers"]) == 4
    for row in document["values"]:
        assert len(row) == len(document["tokens"])
        assert row[0] is None
        assert None not in row[1:]
    assert document["segments"][0] == {"name": "sink", "start": 0, "stop": 1}


def test_two_traces_are_compared(cli: Cli, ids: list[str]) -> None:
    document = cli("map", ids[1], "--with", ids[0], "--json").json
    assert set(document) == {"first", "second", "difference", "first_places", "second_places"}
    assert len(document["first_places"]) == len(document["difference"]["tokens"])
    out = cli("map", ids[1], "--with", ids[0]).out
    assert f"{ids[0]}, Paul less {ids[1]}, Mara: norm" in out


def test_attention_names_the_strongest_pairs_and_the_segments(cli: Cli, ids: list[str]) -> None:
    out = cli("map", ids[0], "--attention", "1", "--head", "0").out
    assert "attention of block 1, head 0" in out
    assert "on each segment: sink " in out
    document = cli("map", ids[0], "--attention", "1", "--json").json
    assert document["head"] is None
    assert sum(document["values"][-1]) == pytest.approx(1, abs=1e-4)


def test_a_map_is_drawn(cli: Cli, ids: list[str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / "map.png"
    result = cli("map", ids[0], "--png", str(file))
    assert result.code == 0
    assert f"drawn to {file}" in result.err
    assert file.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "code", "problem"),
    [
        (("--measure", "mood"), 2, "no measure 'mood'"),
        (("--head", "1"), 2, "--attention"),
        (("--attention", "1", "--measure", "change"), 2, "map of its own"),
        (("--png", "map.svg"), 2, "no picture"),
        (("--measure", "resonance"), 2, "prompt"),
    ],
    ids=str,
)
def test_what_cannot_be_shown_is_refused(
    cli: Cli, ids: list[str], options: tuple[str, ...], code: int, problem: str
) -> None:
    result = cli("map", ids[0], *options)
    assert result.code == code
    assert problem in result.err


def test_beginnings_stand_for_ids(cli: Cli, ids: list[str]) -> None:
    one, other = (id_[:16] for id_ in ids[:2])
    assert (
        cli("map", one, "--with", other, "--json").json == cli("map", ids[0], "--with", ids[1], "--json").json
    )


def test_an_unknown_trace_is_not_found(cli: Cli, ids: list[str]) -> None:
    assert cli("map", "t_nowhere").code == 3
