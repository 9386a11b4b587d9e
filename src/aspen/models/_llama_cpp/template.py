"""A chat template that came with a model file, rendered as transformers renders it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, NoReturn

from jinja2 import Template, nodes
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment


class ChatTemplate:
    """A compiled template. Safe to share between threads.

    Parameters
    ----------
    source:
        Jinja, as in a GGUF's `tokenizer.chat_template`.
    named:
        Strings of the tokens that the template may name, such as "bos_token".
    """

    def __init__(self, source: str, *, named: Mapping[str, str]) -> None:
        self._source = source
        self._named = dict(named)

    def render(self, conversation: Sequence[Mapping[str, str]], *, reply: bool) -> str:
        """The text of messages {"role", "content"}. Raises whatever the template raises, also at compiling."""
        return self._compiled.render(
            messages=[dict(message) for message in conversation],
            tools=None,
            documents=None,
            add_generation_prompt=reply,
            **self._named,
        )

    @cached_property
    def _compiled(self) -> Template:
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _Generation]
        )
        environment.filters["tojson"] = _to_json
        environment.globals |= {"raise_exception": _refuse, "strftime_now": _now}
        return environment.from_string(self._source)


class _Generation(Extension):
    """{% generation %} marks what the assistant says, for training; here it stands for what is inside."""

    tags = {"generation"}  # noqa: RUF012 - as jinja2 declares it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _refuse(message: str) -> NoReturn:
    raise TemplateError(message)


def _now(form: str) -> str:
    return datetime.now().astimezone().strftime(form)


def _to_json(  # jinja2's own writes < as \u003c
    value: Any,
    ensure_ascii: bool = False,  # noqa: FBT001, FBT002 - as transformers has it: templates give it by place or name
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,  # noqa: FBT001, FBT002
) -> str:
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )
