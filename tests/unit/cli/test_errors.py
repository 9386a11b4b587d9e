from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli_run import Cli

from aspen.items import memory_id
from aspen.types import MemoryItem

ID, OTHER = memory_id(MemoryItem("something")), memory_id(MemoryItem("something else"))


@pytest.mark.parametrize(
    ("arguments", "code", "kind", "word"),
    [
        (("bogus",), 2, "UsageError", "No such command"),
        (("recall",), 2, "UsageError", "Missing argument"),
        (("recall", "a", "b"), 2, "UsageError", "(b). A text of several words needs quotes"),
        (("recall", "a", "--limit", "many"), 2, "UsageError", "--limit"),
        (("import", "a", "--format", "xml"), 2, "UsageError", "--format"),
        (("remember", " "), 2, "InvalidInput", "empty"),
        (("remember", "a\x1bb"), 2, "InvalidInput", "U+001B"),
        (("remember", "a\udcffb"), 2, "InvalidInput", "U+DCFF"),
        (("remember", "a", "--said-at", "yesterday"), 2, "InvalidInput", "ISO 8601"),
        (("recall", "a", "--limit", "0"), 2, "InvalidInput", "limit"),
        (("recall", "a", "--arm", "nose"), 2, "InvalidInput", "There is no arm 'nose'"),
        (("recall", "a", "--conversation", "cats"), 3, "NotFound", "no conversation 'cats'"),
        (("chat", "a", "--seed", "-1"), 2, "InvalidInput", "seed"),
        (("chat", "a", "--seed", "abc"), 2, "UsageError", "as an integer."),
        (("chat", "a", "--max-tokens", "0"), 2, "InvalidInput", "--max-tokens must be an integer"),
        (("chat", "a", "--max-tokens=0"), 2, "InvalidInput", "--max-tokens must be an integer"),
        (("chat", "a", "--temperature", "nan"), 2, "InvalidInput", "temperature"),
        (("chat", "a", "--temperature", "-1"), 2, "InvalidInput", "temperature"),
        (
            ("show", "m_1"),
            3,
            "NotFound",
            "no memory 'm_1'. Give the id as `aspen list` shows it, or 6 characters and more of its beginning.",
        ),
        (("forget", "m_1", "--yes"), 3, "NotFound", "or 6 characters and more of its beginning."),
        (
            ("replay", "t_1"),
            3,
            "NotFound",
            "no trace 't_1'. Give the id as `aspen traces` shows it, or 6 characters and more of its beginning.",
        ),
        (
            ("import", "missing.jsonl"),
            2,
            "InvalidInput",
            "missing.jsonl cannot be read: No such file or directory. Check the path.",
        ),
        (("list", "--limit", "0"), 2, "InvalidInput", "limit"),
        (("remember", "a", "--type", "dream"), 2, "UsageError", "'--type': 'dream' is not one of"),
        (("remember", "a", "--stability", "shaky"), 2, "UsageError", "--stability"),
        (("remember", "a", "--importance", "huge"), 2, "InvalidInput", "one of high, medium, low"),
        (
            ("remember", "a", "--importance", "1.5"),
            2,
            "InvalidInput",
            "importance must be a number in [0, 1]",
        ),
        (("remember", "a", "--importance", "nan"), 2, "InvalidInput", "importance must be"),
        (("remember", "a", "--emotion", "joy"), 2, "InvalidInput", "joy:0.8"),
        (("remember", "a", "--emotion", "joy:much"), 2, "InvalidInput", "joy:0.8"),
        (("remember", "a", "--emotion", "joy:2"), 2, "InvalidInput", "intensity of the emotion"),
        (("remember", "a", "--emotion", ":0.5"), 2, "InvalidInput", "label of the emotion is empty"),
        (("remember", "a", "--tag", ""), 2, "InvalidInput", "tag is empty"),
        (("recall", "a", "--preset", "poetic"), 2, "InvalidInput", "One of balanced, factual, character"),
        (("recall", "a", "--type", "dream"), 2, "UsageError", "--type"),
        (("recall", "a", "--tag", ""), 2, "InvalidInput", "tag is empty"),
        (("recall", "a", "--since", "yesterday"), 2, "InvalidInput", "--since 'yesterday' is no date"),
        (("recall", "a", "--until", "x"), 2, "InvalidInput", "--until 'x' is no date"),
        (("recall", "a", "--asked-at", "x"), 2, "InvalidInput", "--asked-at 'x' is no date"),
        (("relate", "m_1", "supports"), 2, "UsageError", "Missing argument"),
        (("relate", "m_1", "supports", "m_2"), 3, "NotFound", "m_1"),
        (("relate", ID, "supports", "m_2"), 3, "NotFound", "m_2"),
        (("relate", ID, "supports", ID), 2, "InvalidInput", f"must join two memories, got '{ID}' at"),
        (("relate", ID, "likes", "m_2"), 2, "InvalidInput", "unknown relation 'likes'. One of summarizes"),
        (("relate", ID, "supports", OTHER, "--weight", "1.1"), 2, "InvalidInput", "weight must be"),
        (("relate", ID, "supports", OTHER, "--weight", "nan"), 2, "InvalidInput", "weight must be"),
        (("relate", ID, "supports", "m_2", "--weight", "x"), 2, "UsageError", "--weight"),
        (("relate", ID, "supports", "m_2", "--remove"), 3, "NotFound", "m_2"),
        (("relate", ID, "supports", "m_2", "--remove", "--weight", "1"), 2, "InvalidInput", "no --weight"),
        (("relations", "m_1"), 3, "NotFound", "m_1"),
        (("spread",), 2, "UsageError", "Missing argument"),
        (("spread", ID, "m_1"), 3, "NotFound", "m_1"),
        (("spread", ID, "--hops", "4"), 2, "InvalidInput", "max_hops must be a whole number in [0, 3]"),
        (("spread", ID, "--hops", "-1"), 2, "InvalidInput", "max_hops"),
        (("spread", ID, "--decay", "0"), 2, "InvalidInput", "decay must be in (0, 1]"),
        (("spread", ID, "--decay", "nan"), 2, "InvalidInput", "decay"),
        (("spread", ID, "--min-weight", "2"), 2, "InvalidInput", "--min-weight must be in [0, 1], got 2"),
        (("spread", ID, "--fan", "0"), 2, "InvalidInput", "fan"),
        (("spread", ID, "--top", "0"), 2, "InvalidInput", "top_k"),
        (("spread", ID, "--relation", "likes"), 2, "InvalidInput", "unknown relation 'likes'"),
        (("spread", ID, "--boost", "belief"), 2, "InvalidInput", "belief=2"),
        (("spread", ID, "--boost", "belief=x"), 2, "InvalidInput", "belief=2"),
        (("spread", ID, "--boost", "belief=0.5"), 2, "InvalidInput", "in [1, 10], got 0.5"),
        (("spread", ID, "--boost", "dream=2"), 2, "InvalidInput", "unknown type 'dream'"),
        (("reinforce",), 2, "UsageError", "Missing argument"),
        (("reinforce", ID, "m_1"), 3, "NotFound", "m_1"),
        (("correct", "m_1", "a"), 3, "NotFound", "m_1"),
        (("correct", ID, " "), 2, "InvalidInput", "empty"),
        (("correct", ID, "a", "--said-at", "x"), 2, "InvalidInput", "--said-at 'x' is no date"),
        (("history", "m_1"), 3, "NotFound", "m_1"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    cli: Cli, arguments: tuple[str, ...], code: int, kind: str, word: str
) -> None:
    cli("remember", "something")
    cli("remember", "something else")
    result = cli(*arguments)
    assert (result.code, result.out) == (code, "")
    assert result.err.startswith("error: ")
    assert word in result.err
    assert result.err.count("\n") == 1

    as_json = cli(*arguments, "--json")
    assert (as_json.code, as_json.out) == (code, "")
    diagnostics = json.loads(as_json.err)
    assert diagnostics["error"] == kind
    assert set(diagnostics) == {"error", "message", "hint", "details"}


READING = (
    ("list",),
    ("recall", "a"),
    ("show", "m_1"),
    ("forget", "m_1", "--yes"),
    ("export",),
    ("traces",),
    ("replay", "t_1"),
    ("rekey",),
    ("backup", "b"),
    ("relate", "m_1", "supports", "m_2"),
    ("relations", "m_1"),
    ("spread", "m_1"),
    ("reinforce", "m_1"),
    ("correct", "m_1", "a"),
    ("history", "m_1"),
)


def test_a_command_that_reads_makes_no_store(cli: Cli, tmp_path: Path) -> None:
    for command in READING:
        result = cli(*command)
        assert result.code == 5
        assert "There is no store at" in result.err
    assert cli("doctor").code == 0
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_reads_makes_no_store_of_an_empty_file(cli: Cli, tmp_path: Path) -> None:
    empty = tmp_path / "empty.db"
    empty.touch()
    for command in READING:
        result = cli(*command, "--store", str(empty))
        assert (result.code, result.out) == (5, "")
        assert result.err.startswith(f"error: {empty} is empty, not a store. ")
        assert "aspen remember" in result.err
    examined = cli("doctor", "--store", str(empty))
    assert examined.code == 0
    assert "is empty; remembering makes a store of it" in examined.out
    assert [(path, path.stat().st_size) for path in tmp_path.iterdir()] == [(empty, 0)]
    assert cli("remember", "a", "--store", str(empty)).code == 0
    assert cli("list", "--store", str(empty)).code == 0


def test_the_folder_of_the_default_store_is_for_its_owner_only(cli: Cli, tmp_path: Path) -> None:
    assert cli("remember", "a").code == 0
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    result = cli("remember", "a", "--store", str(tmp_path / "other" / "memory.db"))
    assert result.code == 5
    assert "mkdir -p" in result.err


def test_paths_that_can_be_none_are_refused(cli: Cli) -> None:
    for path in ("x" * 300, "~nobody-of-this-name/memory.db"):
        assert cli("list", "--store", path).code in (2, 5)
        result = cli("remember", "a", "--store", path)
        assert (result.code, result.err.count("\n")) == (2, 1)
        assert cli("doctor", "--store", path).code == 1
    assert cli("import", "x" * 300).code == 2


def test_ctrl_c_ends_with_130(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from aspen.testing.fake_model import FakeModel  # noqa: PLC0415

    def interrupt(prompt: str) -> str:
        raise KeyboardInterrupt

    result = cli("chat", "hello", model=FakeModel(say=interrupt))
    assert (result.code, result.out) == (130, "")
    assert result.err.endswith("error: Interrupted; what was stored before is kept.\n")
    assert cli("list", "--json").json["memories"] == []
