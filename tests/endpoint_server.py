"""A small HTTP server that runs an Aspen model behind an OpenAI-compatible endpoint with tools, on 127.0.0.1."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aspen.errors import AspenError, PromptTooLong
from aspen.models import LanguageModel, generate, json_grammar
from aspen.types import Message, Role, SamplerSettings

_CALL = re.compile(r'\{"name":"([^"]+)","arguments":(.*)', re.DOTALL)


@dataclass(frozen=True)
class Received:
    """A request as it came in; names of headers are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request.

    `status` refuses it with `body`; `change` makes something else of the completion (text is sent as it is); `cut`
    closes the connection in the middle of the answer; `delay` in seconds.
    """

    status: int | None = None
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    change: Callable[[dict[str, Any]], object] | None = None
    cut: bool = False
    delay: float = 0.0


class EndpointServer(ThreadingHTTPServer):
    """Serves one model, under its name. `faults` befall the next requests, one each.

    With an `api_key`, requests have to bring it.
    """

    daemon_threads = True

    def __init__(self, model: LanguageModel, *, api_key: str | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.model, self.api_key = model, api_key
        self.received: list[Received] = []
        self.faults: deque[Fault] = deque()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


@contextmanager
def serve(model: LanguageModel, *, api_key: str | None = None) -> Iterator[EndpointServer]:
    """A server that runs as long as the context is open."""
    server = EndpointServer(model, api_key=api_key)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Refused(Exception):
    def __init__(self, status: int, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = json.dumps({"error": {"message": message, "type": "invalid_request_error", "code": code}})


class _Handler(BaseHTTPRequestHandler):
    server: EndpointServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.received.append(Received(self.path, headers, body))
        fault = self.server.faults.popleft() if self.server.faults else Fault()
        time.sleep(fault.delay)
        try:
            if fault.status is not None:
                self._send(fault.status, fault.body, headers=fault.headers)
                return
            try:
                answer: object = self._answer(body)
            except _Refused as refused:
                self._send(refused.status, refused.body)
                return
            if fault.change is not None:
                answer = fault.change(answer)  # type: ignore[arg-type]
            self._send(200, answer if isinstance(answer, str) else json.dumps(answer), cut=fault.cut)
        except ConnectionError:  # the client did not wait
            self.close_connection = True

    def _answer(self, body: dict[str, Any]) -> dict[str, Any]:
        if not self.path.endswith("/v1/chat/completions"):
            raise _Refused(404, f"There is nothing at {self.path}.")
        key = self.server.api_key
        if key is not None and self.headers["authorization"] != f"Bearer {key}":
            raise _Refused(401, "Incorrect API key provided.", code="invalid_api_key")
        if body["model"] != self.server.model.info.name:
            raise _Refused(404, f"The model {body['model']} does not exist.", code="model_not_found")
        try:
            return complete(self.server.model, body)
        except PromptTooLong as error:
            raise _Refused(400, str(error), code="context_length_exceeded") from error
        except AspenError as error:
            raise _Refused(400, str(error)) from error

    def _send(
        self, status: int, text: str, *, headers: Mapping[str, str] | None = None, cut: bool = False
    ) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)
        self.close_connection = self.close_connection or cut

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Standard error is left to the tests."""


def complete(model: LanguageModel, body: Mapping[str, Any]) -> dict[str, Any]:
    """A chat completion: calls that the schemas hold to where they are required, else what the model likes to say."""
    tools = [tool["function"] for tool in body.get("tools", ())]
    choice = body.get("tool_choice", "auto") if tools else "none"
    prompt = model.apply_chat_template(_messages(body["messages"], tools=[] if choice == "none" else tools))
    said = generate(
        model,
        session=model.start_session(),
        prompt_ids=prompt.token_ids,
        settings=SamplerSettings(temperature=body["temperature"]),
        seed=body["seed"],
        max_tokens=body["max_tokens"],
        constraint=json_grammar(model, _call_schema(tools)) if choice == "required" else None,
    )
    cut = said.finish_reason == "length"
    calls = [] if choice == "none" else _calls_in(said.text, cut=cut)
    message: dict[str, Any] = {"role": "assistant", "content": None if calls else said.text}
    if calls:
        message["tool_calls"] = [
            {"id": f"call_{body['seed']}_{i}", "type": "function", "function": call}
            for i, call in enumerate(calls)
        ]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": body["model"],
        "choices": [
            {
                "index": 0,
                "message": message,
                "finish_reason": "length" if cut else "tool_calls" if calls else "stop",
            }
        ],
        "usage": {
            "prompt_tokens": len(prompt.token_ids),
            "completion_tokens": len(said.token_ids),
            "total_tokens": len(prompt.token_ids) + len(said.token_ids),
        },
    }


def _messages(messages: Sequence[Mapping[str, Any]], *, tools: Sequence[Mapping[str, Any]]) -> list[Message]:
    """The conversation in the three roles that every template takes; user and assistant alternate."""
    turns: list[tuple[Role, str]] = []
    for message in messages:
        text = message["content"]
        if message["role"] == "tool":
            text = f"Result of {message['tool_call_id']}: {text}"
        for call in message.get("tool_calls", ()):
            function = call["function"]
            text += f'{{"name":"{function["name"]}","arguments":{function["arguments"]}}}'
        role = Role.USER if message["role"] == "tool" else Role(message["role"])
        if turns and turns[-1][0] is role:
            text = f"{turns.pop()[1]}\n{text}"
        turns.append((role, text))
    if tools:
        rest = turns[1:] if turns[0][0] is Role.SYSTEM else turns
        own = turns[0][1] if turns[0][0] is Role.SYSTEM else ""
        offer = "\n".join(json.dumps(tool) for tool in tools)
        turns = [(Role.SYSTEM, f"{own}\n\nYou may call these tools, with JSON:\n{offer}".strip()), *rest]
    return [Message(role, text) for role, text in turns]


def _call_schema(tools: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "anyOf": [
            {
                "type": "object",
                "properties": {"name": {"const": tool["name"]}, "arguments": tool["parameters"]},
                "required": ["name", "arguments"],
            }
            for tool in tools
        ]
    }


def _calls_in(text: str, *, cut: bool) -> list[dict[str, str]]:
    """The calls that a model wrote, as one JSON object or several in an array; of one that was cut, what there is."""
    started = _CALL.match(text)
    if cut and started:
        return [{"name": started[1], "arguments": started[2]}]
    try:
        said = json.loads(text)
    except ValueError:
        return []
    calls = said if isinstance(said, list) else [said]
    if not all(isinstance(call, dict) and {"name", "arguments"} <= call.keys() for call in calls):
        return []
    return [{"name": call["name"], "arguments": json.dumps(call["arguments"])} for call in calls]
