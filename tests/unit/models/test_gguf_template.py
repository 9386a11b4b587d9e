"""Chat templates out of a GGUF: rendered as transformers does it, and never for ever."""

from __future__ import annotations

import time
from datetime import datetime

import pytest
from jinja2.exceptions import SecurityError, TemplateError, TemplateSyntaxError
from tests.tiny_models import CHATML
from transformers.utils.chat_template_utils import render_jinja_template

from aspen.models._llama_cpp import template_limits
from aspen.models._llama_cpp.template import ChatTemplate

NAMED = {"bos_token": "<s>", "eos_token": "</s>"}
CONVERSATION = [
    {"role": "system", "content": "  Be <b>brief</b> & 'kind'.\n"},
    {"role": "user", "content": "Hi 🙂"},
    {"role": "assistant", "content": "<think>hm</think>\n\nyes"},
    {"role": "user", "content": "日本"},
]
TEMPLATES = [
    CHATML,
    (
        "{{ bos_token }}{% for m in messages %}\n    {% if m.role == 'user' %}\n[INST] "
        "{{ m.content | trim }} [/INST]\n    {% endif %}\n{% endfor %}{{ eos_token }}"
    ),
    (
        "{% for m in messages %}{{ m | tojson }}{{ m | tojson(indent=2) }}"
        "{{ [m.content] | tojson(ensure_ascii=True) }}{% endfor %}"
    ),
    (
        "{% set ns = namespace(last=-1) %}{% for m in messages %}{% if m.role == 'user' %}"
        "{% set ns.last = loop.index0 %}{% endif %}{% endfor %}{{ ns.last }}"
    ),
    (
        "{% for m in messages if m.role != 'system' %}{{ loop.length }}{{ loop.last }}"
        "{% if loop.index > 1 %}{% break %}{% endif %}{% endfor %}"
    ),
    (
        "{% macro said(m, mark='*') %}{{ mark }}{{ m['content'][:4] }}{{ mark }}{% endmacro %}"
        "{% for m in messages[::-1] %}{{ said(m) ~ loop.index }}{% endfor %}"
    ),
    (
        "{% for m in messages %}{% generation %}{% set x = m.content %}"
        "{{ x.split('</think>')[-1].lstrip('\\n') }}{% endgeneration %}{{ x }}{% endfor %}"
    ),
    (
        "{% if tools is defined and tools is none and documents is none %}"
        "{{ '%s of %d' % ('one', 2) }}{{ '{:>4}'.format(messages | length) }}{% endif %}"
    ),
    (
        "{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | join(', ') }}{{ 'a b' | replace('a', 'c') | upper | indent(2) }"
        "}"
    ),
    (
        "{% macro run() %}{{ caller('y') }}{% endmacro %}{% filter upper %}{% call(x) run() %}{{ x }}"
        "{% endcall %}{% endfilter %}"
    ),
    (
        "{{ dict(a=1, **{'b': [1, 2]}) | dictsort }}{{ (1, 'a') }}{{ 7 // 2 + 2 ** 3 % 5 - 1 / 4 }}"
        "{{ 'ab' * 2 }}{{ range(3) | list }}{{ -messages | length if messages is string else 0 }}"
    ),
    (
        "{% block a %}{{ messages[0].role in ['system'] and not (1 > 2) }}"
        "{{ messages[9] is undefined }}{{ none_such }}{% endblock %}"
    ),
]
ENDLESS = [
    "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
    "{% for a in range(100000) %}{% for b in range(100000) if b < 0 %}{% endfor %}{% endfor %}",
    (
        "{% for x in range(100000) recursive %}{% if loop.depth < 6 %}{{ loop(range(100000)) }}"
        "{% endif %}{% endfor %}"
    ),
    "{% macro f() %}{{ caller() }}{{ caller() }}{% endmacro %}"
    + "{% call f() %}" * 40
    + "{% endcall %}" * 40,
    "{% set x = range(100000) | map('string') | list %}{{ x | reject('in', x) | list }}",
    "{% set x = 'a' * 4000000 %}{% for i in range(100000) %}{{ 'b' in x }}{% endfor %}",
    "{% for i in range(100000) %}{% set y = range(100000) | max %}{% endfor %}",
]
LOOP = "{% for i in range(60) %}"
EXPLODING = [
    "{% for a in range(100000) %}" + "x" * 50_000 + "{% endfor %}",
    "{{ 'a' * 1000000000 }}",
    "{% set x = 'a' * 1000000 %}{{ [x] * 1000000 }}",
    "{{ 9 ** 999999999 }}",
    "{% set ns = namespace(x=9) %}" + LOOP + "{% set ns.x = ns.x * ns.x %}{% endfor %}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '%*d' % (1000000000, 1) }}",
    "{{ '{:>1000000000}'.format(1) }}",
    "{{ '{:{}}'.format(1, [1000000000][0]) }}",
    "{{ '{a}{a}{a}'.format(a='x' * 7000000) }}",
    "{% set ns = namespace(s='ab') %}" + LOOP + "{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
    "{% set ns = namespace(s='ab') %}" + LOOP + "{% set ns.s = ns.s + ns.s %}{% endfor %}",
    "{% set x = 'ab' %}" + "{% set x %}{{ x }}{{ x }}{% endset %}" * 60,
    (
        "{% macro f(x) %}{{ x }}{{ x }}{% endmacro %}{% set ns = namespace(s='ab') %}" + LOOP + ""
        "{% set ns.s = f(ns.s) %}{% endfor %}"
    ),
    "{% set ns = namespace(l=[1]) %}" + LOOP + "{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
    "{% set ns = namespace(l=(1,)) %}" + LOOP + "{% set ns.l = (ns.l, ns.l) %}{% endfor %}{{ {ns.l: 1} }}",
    (
        "{% set ns = namespace(l={}) %}" + LOOP + ""
        "{% set ns.l = {'a': ns.l.items(), 'b': ns.l.items()} %}{% endfor %}{{ ns.l }}"
    ),
    (
        "{% set ns = namespace(l={}) %}" + LOOP + "{% set ns.l = dict(a=ns.l, b=ns.l) %}{% endfor %}"
        "{{ ns.l | tojson }}"
    ),
    "{% set x = 'a' * 1000000 %}{{ x.replace('a', x) }}",
    "{% set x = 'a' * 1000000 %}{{ x | replace('a', x) }}",
    "{% set x = 'a' * 1000000 %}{{ (['aaaaaaaa'] * 1000) | map('replace', 'a', x) | list }}",
    "{% set x = 'a' * 1000000 %}{{ x.join(x) }}",
    "{% set x = 'a' * 1000000 %}{{ range(100000) | map('string') | join(x) }}",
    "{{ ('\\n' * 1000000) | indent(100000) }}",
    "{{ [[[[1]]]] | tojson(indent=100000) }}",
    "{{ 'a'.zfill(1000000000) }}",
    "{{ ('a' | attr('ljust'))(100000) }}",
    "{{ strftime_now('%Y' * 100000) }}",
    "{% set x = 'a' * 4000000 %}{% for i in range(1000) %}{% set y = x[1:] %}{% endfor %}",
    "{% set x = 'a' * 4000000 %}{% for i in range(1000) %}{% set y = x | upper %}{% endfor %}",
    " " * 200_000,
]


def render(template: str) -> str:
    return ChatTemplate(template, named=NAMED).render(CONVERSATION, reply=True)


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("reply", [True, False])
def test_it_renders_as_transformers_does(template: str, reply: bool) -> None:
    expected, _ = render_jinja_template(
        [CONVERSATION], chat_template=template, add_generation_prompt=reply, **NAMED
    )
    compiled = ChatTemplate(template, named=NAMED)
    assert compiled.render(CONVERSATION, reply=reply) == expected[0]
    assert compiled.render(CONVERSATION, reply=reply) == expected[0]  # what the first one spent is its own


def test_the_clock_can_be_asked() -> None:
    before = datetime.now().strftime("%Y")
    assert render("{{ strftime_now('%Y') }}") in (before, datetime.now().strftime("%Y"))


def test_what_the_template_raises_comes_through() -> None:
    with pytest.raises(TemplateError, match="never"):
        render("{{ raise_exception('never') }}")
    with pytest.raises(TemplateSyntaxError):
        render("{% for")


@pytest.mark.parametrize("template", ENDLESS)
def test_what_would_run_for_ever_is_stopped(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_limits, "MOST_SECONDS", 0.3)
    start = time.thread_time()
    with pytest.raises(SecurityError, match="it runs for more than"):
        render(template)
    assert time.thread_time() - start < 3.0


@pytest.mark.parametrize("template", EXPLODING)
def test_what_would_fill_the_memory_is_stopped(template: str) -> None:
    start = time.thread_time()
    with pytest.raises(SecurityError):
        render(template)
    assert time.thread_time() - start < template_limits.MOST_SECONDS


@pytest.mark.parametrize(
    "expression",
    [
        "''.__class__.__mro__",
        "messages.append(1)",
        "raise_exception.__globals__.os",
        "namespace(a=1).__init__()",
    ],
)
def test_the_sandbox_holds(expression: str) -> None:
    with pytest.raises(TemplateError):
        render("{{ " + expression + " }}")


def test_a_namespace_keeps_its_own() -> None:
    with pytest.raises(SecurityError):
        render("{% set ns = namespace() %}{% set ns.__class__ = 1 %}")
    assert render("{% set ns = namespace() %}{% set ns.a = [ns, ns] %}{{ ns }}") == "<Namespace>"


def test_a_long_conversation_is_far_from_the_bounds() -> None:
    conversation = [{"role": "user", "content": "My sister Mara moved to Lisbon. " * 100}] * 1000
    text = ChatTemplate(CHATML, named=NAMED).render(conversation, reply=True)
    assert len(text) > 3_000_000
