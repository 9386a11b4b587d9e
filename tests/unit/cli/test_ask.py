from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.cli_run import Cli
from tests.endpoint_server import EndpointServer, serve

from aspen.testing.fake_model import FakeModel

QUESTION = "How do I handle creative burnout?"


def remember(cli: Cli, text: str, *options: str) -> str:
    return str(cli("remember", text, *options).out.strip())


@pytest.fixture
def ids(cli: Cli) -> tuple[str, str]:
    spring = remember(cli, "The doctor wrote creative burnout on the form.", "--speaker", "Runa")
    belief = remember(cli, "Life first, and work gets what is left over.", "--type", "belief")
    for text in ("Our cat is called Biscuit.", "The boiler hums.", "Mara moved to Lisbon."):
        remember(cli, text)
    cli("relate", spring, "supports", belief)
    return spring, belief


def calling() -> FakeModel:
    """Searches for the question and answers; it never spreads."""
    searched = {"name": "search_memories", "arguments": {"query": QUESTION}}

    def say(prompt: str) -> str:
        return (
            "Rest." if "in the words of the notes" in prompt else json.dumps(searched, separators=(",", ":"))
        )

    return FakeModel(say=say)


def test_prose_then_the_memories_it_stands_on_then_how(cli: Cli, ids: tuple[str, str]) -> None:
    result = cli("ask", QUESTION, "--seed", "7", model=calling())
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0] == "Rest."
    assert "--supports-->" in result.out
    assert all(id_ in result.out for id_ in ids)
    assert "belief" in result.out
    assert "activation" in result.out
    assert "search_memories" not in result.out
    told = result.err.splitlines()
    assert any(line.startswith("the plan finished what the model did not:") for line in told)
    assert any(line.startswith("1. search_memories(query=How do I") for line in told)
    assert any("refused: This call was made before." in line for line in told)
    assert any("spread_activation" in line and "by the plan" in line for line in told)
    assert "seed 7" in told[-1]
    assert "tool by fake-0" in told[-1]


def test_json_holds_all_of_it(cli: Cli, ids: tuple[str, str]) -> None:
    document = cli("ask", "-", "--json", "--limit", "3", stdin=f"{QUESTION}\n", model=calling()).json
    assert (document["question"], document["text"], document["written_by"]) == (QUESTION, "Rest.", "model")
    assert len(document["memories"]) == 3
    belief = next(one for one in document["memories"] if one["memory"]["id"] == ids[1])
    assert belief["activation"] > 0
    assert belief["paths"][0]["relations"] == ["supports"]
    assert set(belief) == {
        "memory", "score", "seed_score", "activation", "type_boost", "priority", "paths", "noted",
    }  # fmt: skip
    assert document["finished_by"] == "fallback"
    assert document["reason"]
    assert [step["completed"] for step in document["steps"] if step["completed"]] == ["search", "spread"]
    assert set(document["handles"].values()) >= set(ids)
    assert document["note"]["memory_ids"]


def test_where_the_model_writes_nothing_the_memories_answer_and_it_is_said(
    cli: Cli, ids: tuple[str, str]
) -> None:
    result = cli("ask", QUESTION, "--orchestration", "prompt", model=FakeModel(say=lambda prompt: ""))
    assert result.code == 0
    assert "Life first" in result.out.splitlines()[0] or "creative burnout" in result.out.splitlines()[0]
    assert "the memories themselves are the answer: The model wrote nothing." in result.err


def test_wrong_options_are_refused(cli: Cli, ids: tuple[str, str]) -> None:
    for options in (["--orchestration", "chaos"], ["--preset", "none"], ["--limit", "0"], ["--seed", "-1"]):
        assert cli("ask", QUESTION, *options).code == 2
    assert cli("ask", "").code == 2


def test_a_store_that_is_not_there_is_not_made(cli: Cli) -> None:
    assert cli("ask", QUESTION, "--json").code == 5


def test_nothing_that_a_memory_says_drives_the_terminal(cli: Cli) -> None:
    remember(cli, "burnout \u202e reversed \u200bblank", "--speaker", "Eve")
    result = cli("ask", QUESTION, terminal=True, model=calling())
    assert result.code == 0
    assert "\u202e" not in result.out + result.err


def test_writing_is_off_unless_it_is_allowed(cli: Cli, ids: tuple[str, str]) -> None:
    def count() -> int:
        return len(cli("list", "--json").json["memories"])

    before = count()
    cli("ask", QUESTION, model=calling())
    assert count() == before

    stored = {"name": "remember", "arguments": {"text": "I rest.", "type": "belief"}}

    def say(prompt: str) -> str:
        request = prompt.rpartition("<|im_start|>user\n")[2].partition("<|im_end|>")[0]
        if "in the words of the notes" in request:
            return "Rest."
        return json.dumps(
            stored if request.startswith("Question:") else _asked_for(request), separators=(",", ":")
        )

    result = cli("ask", QUESTION, "--allow-writes", model=FakeModel(say=say))
    assert result.code == 0
    assert count() == before + 1
    assert "remember(text=I rest., type=belief)" in result.err


def _asked_for(request: str) -> dict[str, object]:
    name, _, told = request.removeprefix("Call ").partition(" with ")
    key, _, value = told.partition(": ")
    return {"name": name, "arguments": {key: value if key == "query" else value.split(", ")}}


# A model behind an endpoint


@pytest.fixture
def server() -> Iterator[EndpointServer]:
    with serve(FakeModel(context_length=40_000), api_key="k3y") as server:  # a token per byte
        yield server


def by_endpoint(url: str) -> list[str]:
    return ["ask", QUESTION, "--endpoint", url, "--endpoint-model", "fake-0", "--seed", "7"]


def test_a_model_behind_an_endpoint_calls_and_answers(
    cli: Cli, ids: tuple[str, str], server: EndpointServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASPEN_ENDPOINT_KEY", "k3y")
    document = cli(*by_endpoint(server.url), "--json").json
    assert document["model"] == f"fake-0 at {server.url}"
    assert document["turns"] == len(server.received) > 1
    assert set(ids) <= {one["memory"]["id"] for one in document["memories"]}
    assert "Life first" in str(server.received[-1].body)


def test_without_its_key_the_endpoint_refuses_and_it_is_said_where_one_goes(
    cli: Cli, ids: tuple[str, str], server: EndpointServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ASPEN_ENDPOINT_KEY", raising=False)
    result = cli(*by_endpoint(server.url))
    assert result.code == 4
    assert "ASPEN_ENDPOINT_KEY" in result.err


@pytest.mark.parametrize(("host", "leaves"), [("127.0.0.1", False), ("localhost", False), ("0.0.0.0", True)])
def test_where_memories_leave_the_machine_it_is_said(
    cli: Cli,
    ids: tuple[str, str],
    server: EndpointServer,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    leaves: bool,
) -> None:
    """Linux takes 0.0.0.0 for this machine, too; Aspen does not rely on it."""
    monkeypatch.setenv("ASPEN_ENDPOINT_KEY", "k3y")
    url = server.url.replace("127.0.0.1", host)
    result = cli(*by_endpoint(url))
    assert result.code == 0
    assert (f"what is found of the memories is sent to {url}" in result.err) == leaves


def test_url_and_model_of_an_endpoint_go_together(cli: Cli, ids: tuple[str, str]) -> None:
    for options in (["--endpoint", "http://127.0.0.1:9/v1"], ["--endpoint-model", "m"]):
        result = cli("ask", QUESTION, *options)
        assert result.code == 2
        assert "go together" in result.err
