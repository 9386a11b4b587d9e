from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.cli_run import Cli

from aspen.testing.fake_model import FakeModel


def test_remember_prints_the_id_and_is_idempotent(cli: Cli) -> None:
    arguments = ("remember", "I adopted a cat", "--speaker", "Ann", "--said-at", "2026-05-02", "-c", "pets")
    first, again = cli(*arguments), cli(*arguments)
    assert first.code == again.code == 0
    assert first.out == again.out
    assert "remembered before" in again.err
    document = cli(*arguments, "--source", "diary", "--json").json
    assert document["new"] is True
    memory = document["memory"]
    assert memory["id"].startswith("m_")
    assert memory["said_at"] == "2026-05-02T00:00:00+00:00"
    assert (memory["speaker"], memory["conversation"], memory["source"]) == ("Ann", "pets", "diary")


def test_remember_reads_standard_input(cli: Cli) -> None:
    document = cli("remember", "-", "--json", stdin="two\nlines\n").json
    assert document["memory"]["text"] == "two\nlines"
    assert cli("remember", "-", terminal=True).code == 2


def test_recall_as_a_table_and_as_json(cli: Cli) -> None:
    for text in ("Mara moved to Lisbon", "The cat sleeps", "We bake bread"):
        cli("remember", text, "--speaker", "Ann", "--said-at", "2026-05-02", "-c", "family")
    result = cli("recall", "Where is Mara?", "--limit", "2")
    header, *rows = [line.split("\t") for line in result.out.splitlines()]
    assert header == [
        "#", "score", "activation", "keyword", "neighbours", "other",
        "familiar", "date", "type", "speaker", "id", "corrected_by", "text",
    ]  # fmt: skip
    assert [row[0] for row in rows] == ["1", "2"]
    assert {row[7] for row in rows} == {"2026-05-02"}
    assert "arms that ran: activation (" in result.err
    assert "partial forward pass: " in result.err

    document = cli("recall", "Where is Mara?", "--json").json
    assert set(document) == {
        "prompt", "hits", "candidates", "arms", "partial_pass", "seconds", "familiarity", "truncated",
    }  # fmt: skip
    assert set(document["hits"][0]) == {
        "memory", "score", "arms", "paths", "familiarity",
        "seed_score", "activation", "type_boost", "priority", "corrected_by",
    }  # fmt: skip
    assert [arm["name"] for arm in document["arms"]][:3] == ["activation", "keyword", "heads"]
    assert document["candidates"] == 3


def test_recall_with_one_arm_says_so(cli: Cli) -> None:
    cli("remember", "Mara moved to Lisbon")
    document = cli("recall", "Mara", "--arm", "keyword", "--no-spread", "--json").json
    assert [arm["name"] for arm in document["arms"]] == ["keyword"]
    assert document["partial_pass"] is None
    assert set(document["hits"][0]["arms"]) == {"keyword"}
    result = cli("recall", "unheard")
    assert "keyword did not run: no memory has a word of the prompt" in result.err


def test_recall_explains_its_paths(cli: Cli) -> None:
    for number in range(6):
        cli("remember", f"turn {number} of the talk", "-c", "talk", "--said-at", f"2026-05-02T10:0{number}")
    result = cli("recall", "turn 3", "--explain")
    assert " -> " in result.out


def test_recall_says_in_words_that_there_are_no_paths(cli: Cli) -> None:
    for number in range(3):
        cli("remember", f"turn {number} of the talk", "-c", "talk", "--said-at", f"2026-05-02T10:0{number}")
    result = cli("recall", "turn 2", "--explain", "--no-spread")
    assert result.out.count("\n   no paths: ") == 3
    assert "no paths" not in cli("recall", "turn 2", "--no-spread").out


def test_recall_of_an_only_candidate_says_why_its_score_is_0(cli: Cli) -> None:
    cli("remember", "Mara moved to Lisbon")
    alone = "One candidate: there was nothing to rank it against"
    assert f"{alone}; `familiar` says how near it is.\n" in cli("recall", "Where is Mara?").err
    assert f"{alone}.\n" in cli("recall", "Where is Mara?", "--arm", "keyword").err
    assert "familiar" in cli("recall", "Where is Mara?", terminal=True).out
    cli("remember", "The cat sleeps")
    assert alone not in cli("recall", "Where is Mara?").err


def test_a_long_memory_leaves_room_for_the_others_on_a_terminal(cli: Cli) -> None:
    cli("remember", "Mara likes figs. " * 60)
    on_terminal = cli("recall", "Where is Mara?", terminal=True).out
    assert 5 < on_terminal.count("figs") < 20
    assert cli("recall", "Where is Mara?").out.count("figs") == 60


def test_another_models_store_is_recalled_by_words_and_says_why(cli: Cli) -> None:
    cli("remember", "Mara moved to Lisbon")
    other = FakeModel(seed=5)
    result = cli("recall", "Mara", model=other)
    assert result.code == 0
    assert "activation and heads did not run: The store's keys were made by fake-0 in fake, the" in result.err
    assert result.err.count("Make the keys anew (`Aspen.rekey`)") == 1
    assert cli("recall", "Mara", "--arm", "activation", model=other).code == 5
    rekeyed = cli("rekey", "--json", model=other).json
    assert (rekeyed["keys"], rekeyed["model"]) == (1, "fake-5")
    assert [rekeyed[when]["verdict"] for when in ("before", "after")] == ["different", "close"]
    assert [rekeyed[when]["stored"] for when in ("before", "after")] == ["fake-0", "fake-5"]
    assert "activation and heads did not run" not in cli("recall", "Mara", model=other).err


def test_list_and_its_filters(cli: Cli) -> None:
    cli("remember", "a", "--speaker", "Ann", "-c", "x")
    cli("remember", "b", "--speaker", "Bo", "-c", "x")
    cli("remember", "c", "-c", "y")
    assert [m["text"] for m in cli("list", "--json").json["memories"]] == ["c", "b", "a"]
    assert [m["text"] for m in cli("list", "--speaker", "Bo", "--json").json["memories"]] == ["b"]
    assert [m["text"] for m in cli("list", "-c", "x", "-n", "1", "--json").json["memories"]] == ["b"]
    conversations = cli("list", "--conversations", "--json").json["conversations"]
    assert [(c["name"], c["memories"]) for c in conversations] == [("y", 1), ("x", 2)]
    assert cli("list", "--conversations").out == "memories\tconversation\n1\ty\n2\tx\n"
    assert "Ann" in cli("list", terminal=True).out


def test_show_a_memory_and_its_trace(cli: Cli) -> None:
    reply = cli("chat", "hello", "--seed", "7", "--json").json
    id_ = reply["memories"][0]["id"]
    document = cli("show", id_, "--json").json
    assert document["memory"]["text"] == "hello"
    assert document["trace"]["id"] == reply["trace_id"]
    assert document["trace"]["seed"] == 7
    assert document["trace"]["reply"] == "Understood."
    assert document["trace"]["fingerprint"]["runtime"] == "fake"
    result = cli("show", id_)
    assert result.out.endswith("\n\nhello\n")
    assert f"{reply['trace_id']}, level pooled, seed 7" in result.out
    plain = cli("remember", "no trace", "--json").json["memory"]["id"]
    assert cli("show", plain, "--json").json["trace"] is None


def test_a_memory_is_shown_although_its_trace_is_damaged(cli: Cli, tmp_path: Path) -> None:
    reply = cli("chat", "hello", "--json").json
    id_ = reply["memories"][0]["id"]
    assert cli("show", id_, "--json").json["trace_error"] is None
    with closing(sqlite3.connect(tmp_path / "data" / "memory.db")) as connection, connection:
        connection.execute("UPDATE trace SET body = zeroblob(size)")
    document = cli("show", id_, "--json").json
    assert (document["memory"]["text"], document["trace"]) == ("hello", None)
    assert document["trace_error"]
    result = cli("show", id_)
    assert (result.code, result.out.endswith("\n\nhello\n")) == (0, True)
    assert reply["trace_id"] in result.out
    assert "The trace cannot be read" in result.err


def test_forget_asks_first(cli: Cli) -> None:
    id_ = cli("remember", "a secret").out.strip()
    assert cli("forget", id_).code == 2  # nobody to ask
    assert cli("forget", id_, "--json").code == 2
    asked = cli("forget", id_, terminal=True, stdin="n\n")
    assert asked.code == 0
    assert "a secret" in asked.err
    assert "nothing was forgotten" in asked.err
    assert len(cli("list", "--json").json["memories"]) == 1
    assert "forgot 1 memory and 0 traces" in cli("forget", id_, terminal=True, stdin="y\n").out
    assert cli("list", "--json").json["memories"] == []


def test_forget_takes_the_traces_along(cli: Cli) -> None:
    reply = cli("chat", "hello", "--json").json
    ids = [memory["id"] for memory in reply["memories"]]
    assert cli("forget", *ids, *ids, "--yes", "--json").json == {"forgotten": ids, "traces": 1}
    assert cli("traces", "--json").json == {"traces": []}


def test_import_and_export(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    path.write_text('{"text": "a"}\noops\n{"text": "b"}\n')
    document = cli("import", str(path), "-c", "notes", "--json").json
    assert {name: document[name] for name in ("format", "read", "stored", "already_there", "left_out", "bad")} == {
        "format": "plain", "read": 2, "stored": 2, "already_there": 0, "left_out": 0, "bad": 1,
    }  # fmt: skip
    assert document["problems"][0]["number"] == 2
    again = cli("import", str(path), "-c", "notes")
    assert again.out == "0 stored, 2 already there, 1 not readable\n"
    assert "line 2: not JSON" in again.err
    assert "importing" in cli("import", str(path), terminal=True).err

    lines = [json.loads(line) for line in cli("export").out.splitlines()]
    assert [line.get("text") for line in lines] == [None, "a", "b", "a", "b"]
    out = tmp_path / "out.jsonl"
    assert cli("export", "--output", str(out), "-c", "notes", "--json").json == {
        "memories": 2,
        "relations": 0,
        "path": str(out),
    }
    imported = cli("import", str(out), "--store", str(tmp_path / "new.db"), "--json").json
    assert imported["stored"] == 2


def ids(cli: Cli, *options: str) -> list[str]:
    return [memory["id"] for memory in cli("list", *options, "--json").json["memories"]]


def test_backup(cli: Cli, tmp_path: Path) -> None:
    cli("chat", "hello")
    copy = tmp_path / "copy.db"
    document = cli("backup", str(copy), "--json").json
    assert document == {"path": str(copy), "bytes": copy.stat().st_size}
    assert ids(cli, "--store", str(copy)) == ids(cli)
    assert cli("traces", "--store", str(copy), "--json").json == cli("traces", "--json").json
    cli("remember", "more")
    refused = cli("backup", str(copy))
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "--force" in refused.err
    assert ids(cli, "--store", str(copy)) != ids(cli)
    assert cli("backup", str(copy), "--force").code == 0
    assert ids(cli, "--store", str(copy)) == ids(cli)
    itself = cli("backup", str(tmp_path / "data" / "memory.db"), "--force")
    assert (itself.code, "onto itself" in itself.err) == (2, True)
    assert cli("backup", str(tmp_path / "no" / "copy.db")).code == 5
    assert cli("backup", "x" * 300).code == 2


def test_rekey_shows_its_progress(cli: Cli) -> None:
    cli("remember", "a")
    result = cli("rekey", terminal=True, model=FakeModel(seed=5))
    assert result.code == 0
    assert "1 keys made with fake-5" in result.out
    assert "re-keying" in result.err
    told = " ".join(result.err.split())
    assert "before: keys of fake-0. Cosine of stored keys and this model's, on 1 memory: " in told
    assert "after: keys of fake-5. " in told
    assert "keys of both models" not in told
    again = cli("rekey", model=FakeModel(seed=5))
    assert again.out == "nothing to do: the store's keys are those of fake-5 in fake already\n"
    assert again.err == ""
    told_as_data = cli("rekey", "--json", model=FakeModel(seed=5)).json
    assert (told_as_data["keys"], told_as_data["before"]["own"]) == (0, True)


def test_rekeying_an_empty_store_has_nothing_to_compare(cli: Cli) -> None:
    id_ = cli("remember", "a", "--json").json["memory"]["id"]
    assert cli("forget", id_, terminal=True, stdin="y\n").code == 0
    document = cli("rekey", "--json", model=FakeModel(seed=5)).json
    assert (document["keys"], document["before"]["stored"]) == (0, "fake-0")
    assert document["after"]["reason"] == "the store holds no memories"
