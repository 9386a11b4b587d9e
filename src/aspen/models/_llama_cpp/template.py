"""A chat template that came with a model file, rendered as transformers renders it, within bounds."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property, wraps
from typing import Any, NoReturn

from jinja2 import Template, nodes, pass_context
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from aspen.models._llama_cpp.template_limits import (
    ATTRIBUTES,
    FILTERS,
    LONGEST_SOURCE,
    WIDEST_INDENT,
    Allowance,
)


class ChatTemplate:
    """A template. Safe to share between threads; of two renderings at once, one waits.

    Parameters
    ----------
    source:
        Jinja, as in a GGUF's `tokenizer.chat_template`. It is compiled when it is first rendered.
    named:
        Strings of the tokens that the template may name, such as "bos_token".
    """

    def __init__(self, source: str, *, named: Mapping[str, str]) -> None:
        self._source = source
        self._named = dict(named)
        self._lock = threading.Lock()
        self._environment = _Environment()

    def render(self, conversation: Sequence[Mapping[str, str]], *, reply: bool) -> str:
        """The text of messages {"role", "content"}; with `reply`, ready for the assistant to answer.

        Raises whatever the template raises, also at compiling, and SecurityError where it would run longer or make
        more than `template_limits` says.
        """
        with self._lock:
            self._environment.allowance = Allowance()
            text = self._compiled.render(
                messages=[dict(message) for message in conversation],
                tools=None,
                documents=None,
                add_generation_prompt=reply,
                **self._named,
            )
            self._environment.allowance.charge(text)
        return text

    @cached_property
    def _compiled(self) -> Template:
        if len(self._source) > LONGEST_SOURCE:
            raise SecurityError(f"it has {len(self._source)} characters, more than {LONGEST_SOURCE}")
        return self._environment.from_string(self._source)


class _CountingCode(CodeGenerator):
    """Writes Python that counts what it makes, and each turn of a loop."""

    #: The others do not make anything, or are counted by the environment: calls, filters, tests and operators.
    _counted = (
        nodes.Compare,
        nodes.Concat,
        nodes.Dict,
        nodes.Getitem,
        nodes.List,
        nodes.Tuple,
    )

    def visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> Any:
        counted = isinstance(node, self._counted) and getattr(node, "ctx", "load") == "load"
        if counted:
            self.write("environment.allowance.charge(")
        super().visit(node, *args, **kwargs)
        if counted:
            self.write(")")

    def visit_For(self, node: nodes.For, frame: Frame) -> None:  # noqa: N802 - jinja2's name
        plain = sum(len(data.data) for data in node.find_all(nodes.TemplateData))
        spend = nodes.Call(nodes.EnvironmentAttribute("spend"), [nodes.Const(plain)], [], None, None)
        node.body.insert(0, nodes.ExprStmt(spend))
        super().visit_For(node, frame)


class _Environment(ImmutableSandboxedEnvironment):
    """As transformers sets it up, with an allowance for what is rendered."""

    code_generator_class = _CountingCode
    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "**", "%"))
    allowance: Allowance

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[loopcontrols, _Generation],
            finalize=_counted_output,
            optimized=False,  # constants would be computed at compiling, and not be counted
        )
        filters = {**self.filters, "tojson": _to_json}
        self.filters = {name: _guarded(filters[name], name=name, environment=self) for name in FILTERS}
        tests: dict[str, Any] = self.tests
        self.tests = {name: _clocked(test, environment=self) for name, test in tests.items()}
        del self.globals["lipsum"]  # makes text by the page
        self.globals |= {
            "dict": _new_dict,
            "namespace": _Namespace,
            "raise_exception": _refuse,
            "strftime_now": self._now,
        }

    def spend(self, characters: int) -> None:
        """For each turn of a loop: the text of the template itself that is in it."""
        self.allowance.spend(characters + 1)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        for kind, names in ATTRIBUTES.items():
            if isinstance(obj, kind) and attr not in names:
                return False
        return super().is_safe_attribute(obj, attr, value)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        self.allowance.check_operator(operator, left, right)
        return self.allowance.charge(super().call_binop(context, operator, left, right))

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        self.allowance.check_arguments(args, kwargs)
        method = getattr(obj, "__wrapped__", obj)  # the sandbox wraps str.format
        owner = getattr(method, "__self__", None)
        if isinstance(owner, str):
            self.allowance.check_text_method(owner, method.__name__, args, kwargs)
        return self.allowance.charge(super().call(context, obj, *args, **kwargs))

    def _now(self, form: str) -> str:
        self.allowance.check_date(form)
        return datetime.now().strftime(form)


class _Generation(Extension):
    """{% generation %} marks what the assistant says, for training; here it stands for what is inside."""

    tags = {"generation"}  # noqa: RUF012 - as jinja2 declares it

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)


class _Namespace(Namespace):
    """jinja2's, written out without what it holds: that may be itself, or lists of namespaces of lists."""

    def __setitem__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            raise SecurityError(f"it sets {name[:40]!r} on a namespace")
        super().__setitem__(name, value)

    def __repr__(self) -> str:
        return "<Namespace>"


def _guarded(function: Callable[..., Any], *, name: str, environment: _Environment) -> Callable[..., Any]:
    """A filter that looks at its arguments, and counts what it makes."""

    @wraps(function)  # jinja2 keeps on the function whether it wants the context
    def guarded(*args: Any, **kwargs: Any) -> Any:
        allowance = environment.allowance
        allowance.check_arguments(args, kwargs)
        given = args[1:] if hasattr(function, "jinja_pass_arg") else args
        if name == "replace" and len(given) > 2:
            allowance.check_replace(*given[:3])
        elif name == "join":
            allowance.check_join(given[0], given[1] if len(given) > 1 else kwargs.get("d", ""))
        elif name == "indent":
            allowance.check_indent(given[0], given[1] if len(given) > 1 else kwargs.get("width", 4))
        return allowance.charge(function(*args, **kwargs))

    return guarded


def _clocked(test: Callable[..., Any], *, environment: _Environment) -> Callable[..., Any]:
    """A test; select() calls it for each of many values, and "in" looks through as many."""

    @wraps(test)
    def clocked(*args: Any, **kwargs: Any) -> Any:
        environment.spend(0)
        return test(*args, **kwargs)

    return clocked


@pass_context  # or jinja2 calls it at compiling, for constants
def _counted_output(context: Context, value: Any) -> Any:
    environment = context.environment
    assert isinstance(environment, _Environment)  # noqa: S101 - for the type checker
    return environment.allowance.charge(value)


def _new_dict(*args: Any, **kwargs: Any) -> dict[Any, Any]:
    return dict(*args, **kwargs)


def _refuse(message: str) -> NoReturn:
    raise TemplateError(message)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,  # noqa: FBT001, FBT002 - as transformers has it: templates give it by place or name
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,  # noqa: FBT001, FBT002
) -> str:
    """JSON as it is; jinja2's own writes < as \\u003c."""
    wide = len(indent) if isinstance(indent, str) else indent or 0
    if wide > WIDEST_INDENT or any(len(part) > WIDEST_INDENT for part in separators or ()):
        raise SecurityError(f"it indents JSON by more than {WIDEST_INDENT}")
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )
