"""Turns of a model behind an endpoint: a real client and HTTP server, a tiny or the bundled model."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.endpoint_server import EndpointServer, Fault, serve
from tests.front_door import Telling
from tests.unit.memory_agent.asking import ASKED, QUESTION, SEARCH, TOOLS, ask

from aspen.config import Config
from aspen.errors import MissingDependency, ModelError
from aspen.memory_agent.endpoint_model import EndpointAgentModel
from aspen.memory_agent.interface import AgentMessage, AgentTurn, ToolCall
from aspen.models import LanguageModel, bundled, load_model
from aspen.testing.fake_model import FakeModel

GOOD = '{"query": "burnout", "limit": 3}'


@pytest.fixture
def server() -> Iterator[EndpointServer]:
    with serve(FakeModel()) as server:
        yield server


def called(completion: dict[str, Any], *arguments: object) -> dict[str, Any]:
    """The completion with calls of search_memories that have these arguments."""
    message = completion["choices"][0]["message"]
    message["tool_calls"] = [
        {"id": "one", "type": "function", "function": {"name": "search_memories", "arguments": given}}
        for given in arguments
    ]
    return completion


# -- turns -------------------------------------------------------------------------------------------------


def test_a_model_that_knows_nothing_calls_a_tool_by_its_schema(server: EndpointServer) -> None:
    turns = [ask(server, seed=seed) for seed in (1, 1, 2)]
    for turn in turns:
        (call,) = turn.calls
        assert call.problem == "" and turn.text == ""
        if call.name == "search_memories":
            assert 1 <= len(call.arguments["query"]) <= 40
            assert 1 <= call.arguments["limit"] <= 20
        else:
            assert call.name == "spread_activation"
            assert len(call.arguments["seed_ids"]) <= 3
        assert turn.seconds > 0
    assert turns[0].calls == turns[1].calls
    assert {turn.calls[0].id for turn in turns} == {"call_1_0", "call_2_0"}


def test_tokens_are_those_that_the_server_counted(server: EndpointServer) -> None:
    counted: dict[str, int] = {}

    def note(completion: dict[str, Any]) -> object:
        counted.update(completion["usage"])
        return completion

    server.faults.append(Fault(change=note))
    turn = ask(server)
    assert turn.prompt_tokens == counted["prompt_tokens"] > len(QUESTION)
    assert turn.reply_tokens == counted["completion_tokens"] > 20


@pytest.mark.parametrize(
    ("must", "choice"), [("call", "required"), ("answer", "none"), ("either", "auto")], ids=str
)
def test_what_is_sent(server: EndpointServer, must: str, choice: str) -> None:
    ask(server, must=must, seed=2**53 - 1, max_tokens=100)
    (request,) = server.received
    assert request.path == "/v1/chat/completions"
    assert request.body == {
        "model": "fake-0",
        "messages": [
            {"role": "system", "content": "You look memories up."},
            {"role": "user", "content": QUESTION},
        ],
        "temperature": 0,
        "seed": 2**53 - 1,
        "max_tokens": 100,
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.parameters,
                },
            }
            for tool in TOOLS
        ],
        "tool_choice": choice,
    }


def test_without_tools_no_choice_is_sent(server: EndpointServer) -> None:
    ask(server, tools=(), must="answer", max_tokens=5)
    assert server.received[0].body.keys().isdisjoint({"tools", "tool_choice"})


def test_several_calls_in_one_turn() -> None:
    both = [{"name": "search_memories", "arguments": json.loads(GOOD)}] * 2
    with serve(Telling(json.dumps(both))) as server:
        turn = ask(server, must="either")
    assert [call.name for call in turn.calls] == ["search_memories"] * 2
    assert [call.arguments for call in turn.calls] == [{"query": "burnout", "limit": 3}] * 2
    assert len({call.id for call in turn.calls}) == 2


def test_calls_and_results_go_back_to_the_model() -> None:
    model = Telling("You rest on Sundays.")
    calls = (ToolCall("a1", "search_memories", {"query": "rest"}), ToolCall("a2", "get_memories", {}, "cut"))
    with serve(model) as server:
        turn = ask(
            server,
            *ASKED,
            AgentMessage("assistant", "", calls=calls),
            AgentMessage("tool", '[{"id": "m_1", "text": "No work on Sundays."}]', call_id="a1"),
            AgentMessage("tool", '{"error": "cut"}', call_id="a2"),
            must="answer",
        )
    assert turn == AgentTurn("You rest on Sundays.", (), turn.prompt_tokens, turn.reply_tokens, turn.seconds)
    assistant, *results = server.received[0].body["messages"][2:]
    assert assistant["content"] == ""
    assert [call["function"] for call in assistant["tool_calls"]] == [
        {"name": "search_memories", "arguments": '{"query": "rest"}'},
        {"name": "get_memories", "arguments": "{}"},
    ]
    assert [(result["role"], result["tool_call_id"]) for result in results] == [
        ("tool", "a1"),
        ("tool", "a2"),
    ]
    # The server put all of it before the model.
    assert 'Result of a1: [{"id": "m_1", "text": "No work on Sundays."}]' in model.prompts[0]


def test_text_that_could_not_be_sent_back_is_cleaned() -> None:
    with serve(FakeModel()) as server:
        server.faults.append(
            Fault(change=lambda made: {"choices": [{"message": {"content": "a\ud800b\x1b[2Jc\x00"}}]})
        )
        assert ask(server).text == "ab[2Jc"


def test_threads_share_a_model(server: EndpointServer) -> None:
    with EndpointAgentModel(server.url, model="fake-0") as model, ThreadPoolExecutor(4) as pool:

        def turn(seed: int) -> str:
            return model.turn(ASKED, tools=TOOLS, must="call", max_tokens=400, seed=seed).calls[0].id

        assert list(pool.map(turn, range(8))) == [f"call_{seed}_0" for seed in range(8)]


# -- calls that cannot be read -----------------------------------------------------------------------------


def test_a_call_that_was_cut_says_so(server: EndpointServer) -> None:
    turn = ask(server, max_tokens=45, tools=[SEARCH])
    (call,) = turn.calls
    assert call.name == "search_memories"
    assert call.arguments == {}
    assert call.problem.startswith("The arguments are not JSON: ")
    assert "cut" in call.problem
    assert turn.reply_tokens == 45


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "burnout",
        '{"query": "burn',
        '["burnout"]',
        "null",
        '"burnout"',
        '{"limit": NaN}',
        "[" * 100_000,
        None,
        3,
    ],
    ids=lambda value: repr(value)[:20],
)
def test_arguments_that_are_no_object_are_a_problem_of_the_call(
    server: EndpointServer, arguments: object
) -> None:
    server.faults.append(Fault(change=lambda made: called(made, GOOD, arguments)))
    good, bad = ask(server).calls
    assert (good.arguments, good.problem) == ({"query": "burnout", "limit": 3}, "")
    assert bad.arguments == {}
    assert bad.problem.startswith(("The arguments are not JSON", "The arguments must be a JSON object"))
    assert len(bad.problem) < 200


def test_arguments_that_are_an_object_already_are_taken(server: EndpointServer) -> None:
    server.faults.append(Fault(change=lambda made: called(made, {"query": "burnout", "limit": 3})))
    assert ask(server).calls[0].arguments == {"query": "burnout", "limit": 3}


@pytest.mark.parametrize("id_", [None, "", 7, "one"], ids=str)
def test_ids_differ_whatever_the_server_gives(server: EndpointServer, id_: object) -> None:
    def change(made: dict[str, Any]) -> object:
        for call in called(made, GOOD, GOOD, GOOD)["choices"][0]["message"]["tool_calls"]:
            call["id"] = id_
        return made

    server.faults.extend([Fault(change=change)] * 2)
    first = ask(server).calls
    second = ask(server, *ASKED, AgentMessage("assistant", "", calls=first)).calls
    ids = [call.id for call in (*first, *second)]
    assert len(set(ids)) == 6 and all(ids)


# -- counts that are missing -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "usage",
    [None, {}, [], {"prompt_tokens": None, "completion_tokens": "12"}, {"prompt_tokens": -1}],
    ids=str,
)
def test_tokens_are_0_where_they_are_not_counted(server: EndpointServer, usage: object) -> None:
    server.faults.append(Fault(change=lambda made: {**made, "usage": usage}))
    turn = ask(server)
    assert (turn.prompt_tokens, turn.reply_tokens) == (0, 0)
    assert turn.calls


# -- what goes over the wire -------------------------------------------------------------------------------

SURPRISES = {
    "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
    "OPENAI_API_KEY": "sk-from-the-environment",
    "OPENAI_ADMIN_KEY": "sk-admin",
    "OPENAI_ORG_ID": "org-7",
    "OPENAI_PROJECT_ID": "proj-7",
    "OPENAI_WEBHOOK_SECRET": "hook",
    "OPENAI_CUSTOM_HEADERS": "Authorization: Bearer stolen\nX-Custom: 1",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
    "ALL_PROXY": "http://127.0.0.1:9",
}


@pytest.mark.parametrize("key", [None, "sk-very-secret-7"], ids=str)
def test_the_environment_changes_nothing(
    server: EndpointServer, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    server.api_key = key
    for name, value in SURPRISES.items():
        monkeypatch.setenv(name, value)
    assert ask(server, api_key=key).calls
    (request,) = server.received
    sent = dict(request.headers)
    assert sent.pop("user-agent") == "aspen"
    assert sent.pop("authorization", None) == (f"Bearer {key}" if key else None)
    assert sent.keys() == {
        "host",
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "x-stainless-raw-response",
    }


def test_a_proxy_is_used_where_that_is_asked_for(
    server: EndpointServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url.removesuffix("/v1"))
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert ask(server, url="http://elsewhere.invalid/v1", trust_env=True).calls
    assert server.received[0].path == "http://elsewhere.invalid/v1/chat/completions"


def test_memories_are_not_sent_on_to_where_a_server_points(server: EndpointServer) -> None:
    with serve(FakeModel()) as other:
        server.faults.append(Fault(status=307, headers={"location": f"{other.url}/chat/completions"}))
        with pytest.raises(ModelError, match="answered 307") as error:
            ask(server)
    assert other.received == []
    assert other.url in error.value.hint


def test_importing_it_loads_no_client() -> None:
    program = "import aspen.memory_agent.endpoint_model, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {"openai", "httpx2", "torch"}.isdisjoint(done.stdout.split())


# -- a language model --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bundled_model() -> LanguageModel:
    try:
        bundled.find_source()
    except MissingDependency as error:
        pytest.skip(str(error))
    return load_model("bundled", cache_dir=Config.from_environment().cache_dir, device="cpu", threads=1)


@pytest.mark.slow
def test_the_bundled_model_behind_an_endpoint(bundled_model: LanguageModel) -> None:
    with (
        serve(bundled_model) as server,
        EndpointAgentModel(server.url, model=bundled_model.info.name) as model,
    ):
        first, again = (
            model.turn(ASKED, tools=[SEARCH], must="call", max_tokens=100, seed=3) for _ in range(2)
        )
        (call,) = first.calls
        assert call.problem == ""
        assert 1 <= len(call.arguments["query"]) <= 40
        assert first.calls == again.calls
        assert 50 < first.prompt_tokens < 400
        answer = model.turn(
            [
                *ASKED,
                AgentMessage("assistant", "", calls=first.calls),
                AgentMessage("tool", "I rest on Sundays: no work, no screen.", call_id=call.id),
                AgentMessage("user", f"Answer in one sentence: {QUESTION}"),
            ],
            tools=[SEARCH],
            must="answer",
            max_tokens=60,
            seed=3,
        )
        assert answer.calls == ()
        assert len(answer.text.split()) > 2
        assert 0 < answer.reply_tokens <= 60
