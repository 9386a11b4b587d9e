import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli_run import Cli

from aspen.testing.fake_model import FakeModel

HOT = ("--temperature", "1", "--max-tokens", "16")


@pytest.fixture
def hot_cli(cli: Cli) -> Cli:
    """With a model whose replies depend on the seed."""

    def run(*arguments: str, **options: Any) -> Any:
        return cli(*arguments, **{"model": FakeModel(), **options})

    return run


def chat(cli: Cli, text: str = "Where does Mara live?", *, seed: int = 7, conversation: str = "c") -> str:
    trace_id = cli("chat", text, "--seed", str(seed), "-c", conversation, *HOT, "--json").json["trace_id"]
    assert isinstance(trace_id, str)
    return trace_id


def test_an_edit_shows_tokens_side_by_side_and_a_heat_map(hot_cli: Cli) -> None:
    trace_id = chat(hot_cli)
    result = hot_cli("replay", trace_id, "--edit", "Where does Tara live?")
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0].startswith(
        "message: the reply differs; the first token that differs is in the prompt, 'M' -> 'T'."
    )
    assert "prompt\t- M\t+ T" in lines
    assert any(line.startswith(" layer 3 ") for line in lines)
    assert sum(line.lstrip().startswith("layer ") for line in lines) == 4
    assert "before the first token that differs they are " in result.err
    assert hot_cli("traces", "--json").json["traces"][0]["id"] == trace_id  # nothing was stored


def test_an_edit_as_json(hot_cli: Cli) -> None:
    found = hot_cli("replay", chat(hot_cli), "--seed", "8", "--temperature", "0.5", "--json").json
    assert found["changed"] == ["seed 7 -> 8", "temperature 1 -> 0.5"]
    assert found["faithful"] is True
    assert found["tokens"][found["first"]]["same"] is False
    assert found["after"]["sampler"]["temperature"] == 0.5
    divergence = found["divergence"]
    assert len(divergence["distances"]) == len(divergence["by_layer"]) == 4
    assert {len(row) for row in divergence["distances"]} == {len(divergence["texts"])}
    assert divergence["rounding"] == 0


def test_notes_are_exchanged_and_taken_out(hot_cli: Cli) -> None:
    hot_cli("remember", "Mara moved to Lisbon.", "--speaker", "Ann")
    hot_cli("remember", "The boiler is loud.", "--speaker", "Ann")
    trace_id = hot_cli("chat", "Where did Mara move to?", "--note-tokens", "900", *HOT, "--json").json[
        "trace_id"
    ]
    assert hot_cli("replay", trace_id, "--no-note", "--json").json["changed"] == ["no memory note"]
    found = hot_cli("replay", trace_id, "--note", "Mara moved to Oslo.", "--json").json
    after = "".join(pair["after_text"] or "" for pair in found["tokens"] if pair["in_prompt"])
    assert "- Mara moved to Oslo.\n" in after
    assert "Lisbon" not in after
    found = hot_cli("replay", trace_id, "--strategy", "note", "--json").json
    assert found["changed"] == ["strategy note -> note"]


def test_the_heat_map_is_drawn(hot_cli: Cli, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "heat.png"
    assert hot_cli("replay", chat(hot_cli), "--seed", "8", "--png", str(picture)).code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_picture_without_matplotlib_is_told_before_the_work(
    hot_cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trace_id = chat(hot_cli)
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    model = FakeModel()
    result = hot_cli("replay", trace_id, "--seed", "8", "--png", str(tmp_path / "heat.png"), model=model)
    assert result.code == 4
    assert 'pip install "aspen-memory[benchmark]", or leave --png out.' in result.err
    assert model.blocks_run == 0


def test_a_conversation_is_verified_turn_by_turn(hot_cli: Cli) -> None:
    ids = [chat(hot_cli, text, seed=seed) for seed, text in enumerate(("Hello.", "And then?"))]
    chat(hot_cli, conversation="d")
    result = hot_cli("replay", "--conversation", "c")
    assert [row[:4] for row in result.rows] == [
        ["turn", "trace", "seed", "verdict"], ["1", ids[0], "0", "verified"], ["2", ids[1], "1", "verified"],
    ]  # fmt: skip
    assert result.err.splitlines()[-1] == "2 of 2 verified"
    document = hot_cli("replay", "-c", "c", "--json").json
    assert (document["turns"], document["verified"]) == (2, 2)
    assert [report["trace_id"] for report in document["reports"]] == ids


def test_a_conversation_that_cannot_be_verified_ends_with_7(hot_cli: Cli) -> None:
    chat(hot_cli)
    result = hot_cli("replay", "-c", "c", model=FakeModel(seed=5))
    assert result.code == 7
    assert "0 of 1 verified" in result.err
    assert hot_cli("replay", "-c", "nowhere").code == 3
    assert hot_cli("replay", "-c", "c", terminal=True).code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        (), ("t_1", "-c", "c"), ("-c", "c", "--seed", "1"), ("t_1", "--png", "x.png"), ("-c", "c", "--png", "x.png"),
        ("t_1", "--note", "x", "--no-note"), ("t_1", "--seed", "1", "--png", "x.txt"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_makes_no_sense_together_is_refused(hot_cli: Cli, arguments: tuple[str, ...]) -> None:
    result = hot_cli("replay", *arguments)
    assert result.code == 2
    assert result.err.startswith("error: ")


def test_samples_are_shown_compared_and_the_best_is_remembered(hot_cli: Cli) -> None:
    result = hot_cli(
        "sample", "Hello.", "--seed", "1", "--seed", "2", "--seed", "3", "-c", "c", "--max-tokens", "12"
    )
    reply, _, columns, *rows = result.out.splitlines()
    assert columns.split("\t") == ["", "seed", "log-lik.", "agrees", "differs", "score", "trace", "reply"]
    cells = [row.split("\t") for row in rows]
    assert [row[1] for row in cells] == ["1", "2", "3"]
    (best,) = (row for row in cells if row[0] == "*")
    assert best[7] == " ".join(reply.split())
    assert "one prefill" in result.err
    assert float(best[5]) == max(float(row[5]) for row in cells)
    for row in cells:
        assert hot_cli("replay", row[6]).code == 0
    listed = hot_cli("list", "--json").json["memories"]
    assert [memory["trace_id"] for memory in listed] == [best[6]] * 2
    assert hot_cli("sample", "Hello.", "--seeds", "2", "--max-tokens", "4", terminal=True).code == 0


def test_samples_as_json_and_their_alternatives(hot_cli: Cli) -> None:
    found = hot_cli("sample", "Hello.", "--max-tokens", "8", "--seeds", "3", "--json").json
    (chosen,) = (one for one in found["candidates"] if one["chosen"])
    others = [one for one in found["candidates"] if not one["chosen"]]
    assert found["reply"]["trace_id"] == chosen["trace_id"]
    assert found["reply"]["text"] == chosen["text"]
    assert "recall" not in found["reply"]
    memory_id = found["reply"]["memories"][0]["id"]
    shown = hot_cli("show", memory_id, "--json").json["trace"]["alternatives"]
    assert shown == [{"id": one["trace_id"], "seed": one["seed"], "reply": one["text"]} for one in others]
    assert (
        f"alternative   {others[0]['trace_id']}, seed {others[0]['seed']}: " in hot_cli("show", memory_id).out
    )
    traces = {one["id"]: one["alternative_to"] for one in hot_cli("traces", "--json").json["traces"]}
    assert traces == {
        one["trace_id"]: None if one["chosen"] else chosen["trace_id"] for one in found["candidates"]
    }


@pytest.mark.parametrize(
    "arguments",
    [("--seeds", "1"), ("--seeds", "2", "--seed", "3"), ("--temperature", "0"), ("--seed", "1")],
    ids=" ".join,
)
def test_a_sampling_that_makes_no_sense_is_refused(hot_cli: Cli, arguments: tuple[str, ...]) -> None:
    assert hot_cli("sample", "Hello.", *arguments).code == 2


def test_traces_and_memories_are_listed_by_seed(hot_cli: Cli) -> None:
    mine = chat(hot_cli, "Hello.", seed=7)
    chat(hot_cli, "Hello.", seed=8)
    also_mine = chat(hot_cli, "Hello.", seed=7, conversation="d")
    assert [row[0] for row in hot_cli("traces", "--seed", "7").rows[1:]] == [also_mine, mine]
    document = hot_cli("list", "--seed", "7", "--json").json
    assert [trace["id"] for trace in document["traces"]] == [also_mine, mine]
    assert [memory["trace_id"] for memory in document["memories"]] == [also_mine, also_mine, mine, mine]
    only = hot_cli("list", "--seed", "7", "-c", "d", "--speaker", "user", "--json").json
    assert [memory["text"] for memory in only["memories"]] == ["Hello."]
    text = hot_cli("list", "--seed", "7").out
    assert text.startswith("id\tdate\tlevel\tbytes\tseed\tconversation\n")
    assert "\n\nid\tdate\tconversation\t" in text
    assert hot_cli("list", "--seed", "9", "--json").json == {"memories": [], "traces": []}
    assert "traces" not in hot_cli("list", "--json").json
    for arguments in (("--seed", "-1"), ("--seed", "7", "--conversations")):
        assert hot_cli("list", *arguments).code == 2
    assert json.loads(hot_cli("traces", "--seed", str(2**53), "--json").err)["error"] == "InvalidInput"
