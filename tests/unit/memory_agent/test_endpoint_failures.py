"""What a server, a network or a caller does wrong is an error of Aspen's own, which says what to do."""

from __future__ import annotations

import json
import re
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.endpoint_server import EndpointServer, Fault, serve
from tests.unit.memory_agent.asking import ASKED, TOOLS, ask

from aspen.errors import AspenError, InvalidInput, MissingDependency, ModelError, ModelNotFound, PromptTooLong
from aspen.memory_agent.endpoint_model import EndpointAgentModel
from aspen.memory_agent.interface import AgentMessage
from aspen.testing.fake_model import FakeModel

KEY = "sk-very-secret-7"


@pytest.fixture
def server() -> Iterator[EndpointServer]:
    with serve(FakeModel()) as server:
        yield server


SOON = {"retry-after": "0.01"}


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500, body='{"error": {"message": "busy"}}', headers=SOON),
        Fault(status=429, body='{"error": {"message": "slow down"}}', headers=SOON),
        Fault(status=503, body="<html>starting</html>", headers=SOON),
        Fault(cut=True),
    ],
    ids=["500", "429", "503", "cut"],
)
def test_it_tries_again_after_a_failure(server: EndpointServer, fault: Fault) -> None:
    server.faults.append(fault)
    assert ask(server, retries=1).calls
    first, second = server.received
    assert first == second


def test_tries_have_an_end(server: EndpointServer) -> None:
    server.faults.extend([Fault(status=503, body="no", headers=SOON)] * 9)
    with pytest.raises(ModelError, match='answered 503: "no"') as error:
        ask(server, retries=2)
    assert len(server.received) == 3
    assert error.value.details == {"status": 503}


def test_a_cut_answer_is_an_error_in_the_end(server: EndpointServer) -> None:
    server.faults.append(Fault(cut=True))
    with pytest.raises(ModelError, match="cannot be reached"):
        ask(server)


def test_a_server_that_takes_too_long(server: EndpointServer) -> None:
    server.faults.append(Fault(delay=0.6))
    with pytest.raises(ModelError, match=r"did not answer within 0\.2 s") as error:
        ask(server, timeout=0.2)
    assert "timeout" in error.value.hint


def test_nobody_listens(server: EndpointServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(
        ModelError, match=rf"http://127\.0\.0\.1:{port}/v1 cannot be reached: .*refused"
    ) as error:
        ask(server, url=f"http://127.0.0.1:{port}/v1")
    assert "runs" in error.value.hint


@pytest.mark.parametrize("given", [None, "sk-another"], ids=str)
def test_a_key_that_is_missing_or_wrong(server: EndpointServer, given: str | None) -> None:
    server.api_key = KEY
    with pytest.raises(ModelError, match="answered 401") as error:
        ask(server, api_key=given)
    assert "api_key" in error.value.hint


def test_the_key_is_shown_nowhere(server: EndpointServer) -> None:
    said = json.dumps(
        {"error": {"message": f"Incorrect key {KEY}.\n\x1b[31mSee\x1b[0m\n" + "the manual " * 99}}
    )
    server.faults.append(Fault(status=401, body=said))
    with pytest.raises(ModelError) as error:
        ask(server, api_key=KEY)
    shown = f"{error.value} {error.value.diagnostics()}"
    assert KEY not in shown
    assert "Incorrect key ...." in shown
    assert "\x1b" not in shown and "\n" not in shown
    assert len(error.value.message) < 450
    with EndpointAgentModel(server.url, model="fake-0", api_key=KEY) as model:
        assert KEY not in f"{model!r} {model.name}"
        assert model.name == f"fake-0 at {server.url}"


def test_a_model_that_the_server_does_not_have(server: EndpointServer) -> None:
    with pytest.raises(ModelNotFound, match="The model gpt-9 does not exist") as error:
        ask(server, model="gpt-9")
    assert "name" in error.value.hint


def test_a_url_without_the_v1(server: EndpointServer) -> None:
    with pytest.raises(ModelNotFound) as error:
        ask(server, url=server.url.removesuffix("/v1"))
    assert "/v1" in error.value.hint


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (
            400,
            '{"object": "error", "message": "\\"auto\\" tool choice requires --enable-auto-tool-choice and '
            '--tool-call-parser to be set", "type": "BadRequestError", "param": null, "code": 400}',
        ),
        (400, '{"error": {"message": "stablelm2:latest does not support tools", "type": "api_error"}}'),
        (
            500,
            '{"error": {"code": 500, "message": "tools param requires --jinja flag", "type": "server_error"}}',
        ),
    ],
    ids=["vLLM", "Ollama", "llama.cpp"],
)
def test_a_server_without_tools(server: EndpointServer, status: int, body: str) -> None:
    server.faults.append(Fault(status=status, body=body))
    with pytest.raises(ModelError, match="tool") as error:
        ask(server)
    assert "take tools" in error.value.hint


def test_a_conversation_that_the_model_has_no_room_for() -> None:
    with serve(FakeModel(context_length=300)) as server, pytest.raises(PromptTooLong, match="context of 300"):
        ask(server)


@pytest.mark.parametrize(
    "body",
    [
        '{"error": {"code": 500, "message": "the request exceeds", "type": "exceed_context_size_error"}}',
        '{"object": "error", "message": "This model\'s maximum context length is 4096 tokens.", "code": 400}',
    ],
    ids=["llama.cpp", "vLLM"],
)
def test_other_servers_say_it_in_their_own_way(server: EndpointServer, body: str) -> None:
    server.faults.append(Fault(status=400, body=body))
    with pytest.raises(PromptTooLong):
        ask(server)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("<html>Welcome</html>", "Expecting value"),
        ("", "Expecting value"),
        ('{"choices": [', "Expecting value"),
        ("[" * 100_000, ""),
        ({"object": "list"}, "it holds no choices"),
        ({"choices": []}, "it holds no choices"),
        ({"error": {"message": "out of credits"}}, "out of credits"),
        ({"choices": [{"message": None}]}, "no message"),
        ({"choices": [{"message": {"content": [1]}}]}, "another type"),
        ({"choices": [{"message": {"tool_calls": {"id": "x"}}}]}, "another type"),
        ({"choices": [{"message": {"tool_calls": [{"id": "x"}]}}]}, "names no function"),
        ({"choices": [{"message": {"tool_calls": [{"function": {"name": None}}]}}]}, "names no function"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_answer_that_is_no_completion(server: EndpointServer, answer: object, reason: str) -> None:
    server.faults.append(Fault(change=lambda made: answer))
    with pytest.raises(ModelError, match=f"did not answer with a chat completion: .*{re.escape(reason)}"):
        ask(server)


PARTS = [
    "choices",
    "message",
    "content",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "id",
    "usage",
    "error",
]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(PARTS), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[EndpointServer, EndpointAgentModel]]:
    with serve(FakeModel()) as server, EndpointAgentModel(server.url, model="fake-0", retries=0) as model:
        yield server, model


@given(message=anything, rest=anything)
@settings(max_examples=100, deadline=None)
def test_whatever_comes_is_a_turn_or_an_error_of_ours(
    shared: tuple[EndpointServer, EndpointAgentModel], message: object, rest: object
) -> None:
    server, model = shared
    answer = {"choices": [{"message": message}], "usage": rest} if rest else message
    server.faults.append(Fault(status=200, body=json.dumps(answer)))
    try:
        turn = model.turn(ASKED, tools=TOOLS, must="call", max_tokens=1, seed=0)
    except AspenError as error:
        assert isinstance(error, ModelError)
        return
    # What it says can be sent back.
    server.faults.append(Fault(status=400, body="seen"))
    said = AgentMessage("assistant", turn.text, calls=turn.calls)
    with pytest.raises(ModelError, match="seen"):
        model.turn([*ASKED, said], tools=TOOLS, must="call", max_tokens=1, seed=0)


# -- what is refused before anything is sent ---------------------------------------------------------------


URLS = """
    127.0.0.1:8080  ftp://127.0.0.1/v1  http://  http://h:99999/v1  http://[::1  http://ann:secret@127.0.0.1/v1
    http://ann:secret@h:99999  http://127.0.0.1/v1?key=secret  http://h/v1#x
"""


@pytest.mark.parametrize("url", [*URLS.split(), "", "http://a b/v1", "http://a\n/v1", None, 7], ids=str)
def test_urls_that_are_none(url: Any) -> None:
    with pytest.raises(InvalidInput) as error:
        EndpointAgentModel(url, model="m")
    if url and "secret" in str(url):
        assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "options",
    [
        {"model": ""},
        {"model": None},
        {"model": "a\nb"},
        {"api_key": ""},
        {"api_key": "two words"},
        {"api_key": "ключ"},
        {"api_key": "line\nbreak"},
        {"timeout": 0},
        {"timeout": float("nan")},
        {"timeout": True},
        {"timeout": "9"},
        {"retries": -1},
        {"retries": 11},
    ],
    ids=str,
)
def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        EndpointAgentModel("http://127.0.0.1:9/v1", **{"model": "m", **options})


@pytest.mark.parametrize(
    "options", [{"must": "perhaps"}, {"seed": -1}, {"seed": 2**53}, {"max_tokens": 0}], ids=str
)
def test_turns_that_make_no_sense(server: EndpointServer, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        ask(server, **options)
    assert server.received == []


def test_without_the_client_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingDependency, match="aspen-memory\\[endpoint\\]"):
        EndpointAgentModel("http://127.0.0.1:9/v1", model="m")
