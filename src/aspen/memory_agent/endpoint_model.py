"""The recall agent's model behind an OpenAI-compatible endpoint: chat completions with tools.

Whatever the agent reads of a person's memories is sent to that endpoint, and nothing is sent anywhere else.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_address
from itertools import count
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import urlsplit

from aspen.errors import InvalidInput, MissingDependency, ModelError, ModelNotFound, PromptTooLong
from aspen.memory_agent.interface import AgentMessage, AgentTurn, Tool, ToolCall
from aspen.validation import check_count, check_kind, check_name, check_seed, strip_unstorable

if TYPE_CHECKING:
    import openai

_INSTALL = "pip install 'aspen-memory[endpoint]'"
_TOOL_CHOICE = {"call": "required", "answer": "none", "either": "auto"}
#: No other header goes out: the client adds platform and versions by itself, and what OPENAI_CUSTOM_HEADERS holds.
#: The last one is how the client remembers that it was asked for the raw answer.
_HEADERS = frozenset(
    {"accept", "accept-encoding", "connection", "content-length", "content-type", "host"}
    | {"x-stainless-raw-response"}
)
_VISIBLE = re.compile(r"[!-~]+")
#: How servers say that messages and tools do not fit (OpenAI and vLLM, llama.cpp).
_TOO_LONG = ("context_length_exceeded", "exceed_context_size_error", "maximum context length")
_QUOTED = 300
"""Characters of a server's own words that go into a message."""


class EndpointAgentModel:
    """A model that an OpenAI-compatible server runs: llama-server, vLLM, Ollama, LM Studio, or a service far away.

    The texts of memories are part of the messages, so they go to whoever answers at `base_url`: on this machine
    ("http://127.0.0.1:8080/v1") they stay on it. The URL has to be named; nothing in the environment adds or changes
    one. Redirects are not followed. Threads may share it; close it when it is done with.

    Parameters
    ----------
    base_url:
        Where the server's API begins; for most servers it ends in /v1.
    model:
        Name of the model, as the server knows it.
    api_key:
        Sent as bearer token; none is sent where it is None. The environment is not asked for one.
    timeout:
        Seconds that one try may wait for the server's next bytes: for all of the reply, since it is not streamed.
    retries:
        Tries after the first, where the server cannot be reached, is busy (429), fails (5xx) or takes too long;
        waits of 0.5 s and more lie between, or what the server asks for, up to two minutes.
    trust_env:
        Take proxies and certificates from the environment (HTTPS_PROXY, SSL_CERT_FILE and the like).

    Raises InvalidInput for a URL that is none, MissingDependency without the package openai.
    """

    def __init__(
        self,
        base_url: str,
        *,
        model: str,
        api_key: str | None = None,
        timeout: float = 120.0,
        retries: int = 2,
        trust_env: bool = False,
    ) -> None:
        self._url = _checked_url(base_url)
        check_kind(check_name(model, what="model"), str, what="model")
        if api_key is not None and not (isinstance(api_key, str) and _VISIBLE.fullmatch(api_key)):
            raise InvalidInput(
                "api_key must be printable ASCII without blanks.", hint="Leave it out where none is needed."
            )
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout < 1e6:
            raise InvalidInput(f"timeout must be a number of seconds above 0, got {timeout!r}.")
        check_count(retries, what="retries", minimum=0, maximum=10)
        self._model, self._key, self._timeout = model, api_key, timeout
        self._library = _library()
        self._client = self._connect(retries=retries, trust_env=trust_env)

    def _connect(self, *, retries: int, trust_env: bool) -> openai.OpenAI:
        # Strings where None would send the client to OPENAI_ADMIN_KEY, OPENAI_ORG_ID, OPENAI_PROJECT_ID and so on.
        client: openai.OpenAI = self._library.OpenAI(
            base_url=self._url,
            api_key=self._key or "none",
            admin_api_key="",
            organization="",
            project="",
            webhook_secret="",
            timeout=self._timeout,
            max_retries=retries,
            http_client=self._library.DefaultHttpxClient(
                trust_env=trust_env,
                follow_redirects=False,
                timeout=self._timeout,
                event_hooks={"request": [self._only_ours]},
            ),
        )
        return client

    def _only_ours(self, request: Any) -> None:
        """Drop the headers that Aspen does not mean to send."""
        for name in set(request.headers) - _HEADERS:
            del request.headers[name]
        request.headers["user-agent"] = "aspen"
        if self._key:
            request.headers["authorization"] = f"Bearer {self._key}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"EndpointAgentModel({self._url!r}, model={self._model!r})"

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    @property
    def name(self) -> str:
        """The model, and where it runs."""
        return f"{self._model} at {self._url}"

    @property
    def is_local(self) -> bool:
        """Whether the URL names this machine, so that what is sent does not leave it."""
        host = urlsplit(self._url).hostname or ""
        with suppress(ValueError):  # a name, not an address
            return ip_address(host).is_loopback
        return host == "localhost"

    def turn(
        self,
        messages: Sequence[AgentMessage],
        *,
        tools: Sequence[Tool],
        must: Literal["call", "answer", "either"],
        max_tokens: int,
        seed: int,
    ) -> AgentTurn:
        """The model's next turn, at temperature 0; see `AgentModel.turn`.

        Arguments that are no JSON object come back in `ToolCall.problem`. `seconds` has retries in it; tokens are 0
        where the server does not count them. Servers are free in how they hold to `must`, `max_tokens` and `seed`.

        Raises PromptTooLong where the server says so, ModelNotFound where it does not know the model, ModelError for
        all else that it refuses or that cannot be understood.
        """
        if must not in _TOOL_CHOICE:
            raise InvalidInput(f"must is one of {', '.join(_TOOL_CHOICE)}, not {must!r}.")
        request: dict[str, Any] = {
            "model": self._model,
            "messages": [_as_sent(message) for message in messages],
            "temperature": 0,
            "seed": check_seed(seed),
            "max_tokens": check_count(max_tokens, what="max_tokens", maximum=1_000_000),
        }
        if tools:
            request |= {"tools": [_tool(tool) for tool in tools], "tool_choice": _TOOL_CHOICE[must]}
        started = time.perf_counter()
        try:
            # The raw answer: the client builds its objects from whatever comes, without a look at it.
            answer = self._client.chat.completions.with_raw_response.create(**request).http_response
        except self._library.APIError as error:
            raise self._refusal(error) from error
        seconds = time.perf_counter() - started
        try:
            taken = {call.id for message in messages for call in message.calls}
            return _read_turn(json.loads(answer.content), taken=taken, seconds=seconds)
        except (ValueError, RecursionError, _Unexpected) as error:
            raise ModelError(
                f"The endpoint {self._url} did not answer with a chat completion: {self._quoted(str(error))}.",
                hint="Check the URL: for most servers it ends in /v1.",
            ) from error

    def _refusal(self, error: openai.APIError) -> ModelError | PromptTooLong:
        """The client's error as one of Aspen's, with what to do about it."""
        library, where = self._library, f"The endpoint {self._url}"
        if isinstance(error, library.APITimeoutError):
            return ModelError(
                f"{where} did not answer within {self._timeout:g} s.",
                hint="Give it longer (timeout), or take a smaller model.",
            )
        if not isinstance(error, library.APIStatusError):
            return ModelError(
                f"{where} cannot be reached: {self._quoted(str(error.__cause__ or error))}.",
                hint="Check that the server runs, and that the URL is right.",
            )
        status, said = error.status_code, self._quoted(_said_by(error.body))
        answered = f'{where} answered {status}: "{said}".' if said else f"{where} answered {status}."
        if any(sign in f"{error.code} {error.type} {said}" for sign in _TOO_LONG):
            return PromptTooLong(
                answered, hint="Take a lower limit, or a model with a longer context.", status=status
            )
        kind = ModelNotFound if status == 404 else ModelError
        return kind(answered, hint=_advice(status, said, response=error.response), status=status)

    def _quoted(self, text: str) -> str:
        """Somebody else's words: one line, not too long, and never the key."""
        line = " ".join(strip_unstorable(text).split())
        if self._key:
            line = line.replace(self._key, "...")
        return line[:_QUOTED].rstrip(".")


class _Unexpected(Exception):
    """The answer has another shape than a chat completion."""


def _checked_url(base_url: object) -> str:
    text = base_url if isinstance(base_url, str) else ""
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if "@" in text or "?" in text or "#" in text:  # not shown: it may hold a secret
        raise InvalidInput(
            "The URL of an endpoint has no user, no password, and nothing behind a ? or #.",
            hint="Give a key as api_key.",
        )
    if not valid or not _VISIBLE.fullmatch(text):  # urlsplit drops line breaks without a word
        raise InvalidInput(
            f"{base_url!r} is not the URL of an endpoint.", hint="Give one such as http://127.0.0.1:8080/v1."
        )
    return text.rstrip("/")


def _library() -> ModuleType:
    try:
        import openai  # noqa: PLC0415 - an optional package, and slow to import
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "openai":
            raise
        raise MissingDependency(
            "Asking a model over an endpoint needs the package openai, which is not installed.",
            hint=f"Install it with: {_INSTALL}",
            package="openai",
        ) from error
    return openai


def _tool(tool: Tool) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": dict(tool.parameters),
        },
    }


def _as_sent(message: AgentMessage) -> dict[str, Any]:
    """A message as the API wants it. Content is never null: templates of small models fail on it."""
    sent: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.calls:
        sent["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(dict(call.arguments))},
            }
            for call in message.calls
        ]
    if message.call_id is not None:
        sent["tool_call_id"] = message.call_id
    return sent


def _read_turn(answer: Any, *, taken: set[str], seconds: float) -> AgentTurn:
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise _Unexpected(_said_by(answer) or "it holds no choices")
    message = choices[0].get("message")
    if not isinstance(message, dict):
        raise _Unexpected("its first choice holds no message")
    text, calls = message.get("content"), message.get("tool_calls") or []
    if not isinstance(text, str | None) or not isinstance(calls, list):
        raise _Unexpected("content or tool_calls of its message are of another type")
    cut = choices[0].get("finish_reason") == "length"
    usage = answer.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return AgentTurn(
        text=strip_unstorable(text or ""),
        calls=tuple(_read_calls(calls, taken=taken, cut=cut)),
        prompt_tokens=_tokens(usage.get("prompt_tokens")),
        reply_tokens=_tokens(usage.get("completion_tokens")),
        seconds=seconds,
    )


def _read_calls(calls: Sequence[Any], *, taken: set[str], cut: bool) -> Iterator[ToolCall]:
    """Calls with new ids: some servers give none, or the same to all. `cut` by max_tokens."""
    for call in calls:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise _Unexpected("one of its calls names no function")
        given = call.get("id")
        id_ = strip_unstorable(given) if isinstance(given, str) else ""
        if not id_ or id_ in taken:
            id_ = next(new for number in count(1) if (new := f"call_{number}") not in taken)
        taken.add(id_)
        arguments, problem = _read_arguments(function.get("arguments"), cut=cut)
        yield ToolCall(id_, strip_unstorable(function["name"]), arguments, problem=problem)


def _read_arguments(arguments: object, *, cut: bool) -> tuple[Mapping[str, Any], str]:
    """The arguments, and what is wrong with them; some servers send the object itself instead of its text."""
    try:
        value = json.loads(arguments, parse_constant=_no_number) if isinstance(arguments, str) else arguments
    except (ValueError, RecursionError) as error:
        end = " (the reply was cut at its longest)" if cut else ""
        return {}, f"The arguments are not JSON: {error}{end}."
    if not isinstance(value, dict):
        return {}, f"The arguments must be a JSON object, not {json.dumps(value)[:50]}."
    return value, ""


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _tokens(counted: object) -> int:
    return counted if isinstance(counted, int) and not isinstance(counted, bool) and counted > 0 else 0


def _said_by(body: object) -> str:
    """What a server says in the body of an error: {"error": {"message": ...}}, the parts of it, or text."""
    while isinstance(body, dict):
        body = body.get("error") or body.get("message") or body.get("detail")
    return body if isinstance(body, str) else json.dumps(body) if body else ""


def _advice(status: int, said: str, *, response: Any) -> str:
    """What the person can do about a refusal."""
    if 300 <= status < 400:
        target = strip_unstorable(response.headers.get("location", "elsewhere"))[:_QUOTED]
        return f"It points to {target}; name that URL if memories may go there."
    if status in (401, 403):
        return (
            "Check the key (api_key, or ASPEN_ENDPOINT_KEY for `aspen ask`), and that it may use this model."
        )
    if status == 404:
        return "Check the model's name, and the URL: for most servers it ends in /v1."
    if status == 429:
        return "Wait, or raise the limit that the server keeps."
    if "tool" in said.lower() or "function" in said.lower():
        return (
            "The agent needs a server and a model that take tools: start llama-server with --jinja, vLLM with "
            "--enable-auto-tool-choice and --tool-call-parser, or take another model."
        )
    return "Look at the server's log." if status >= 500 else "The server refuses the request as it is."
