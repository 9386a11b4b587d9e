"""Constrained decoding: whatever the model would like to say, what it says is JSON of the schema."""

from __future__ import annotations

import gc
import json
import re
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.tiny_models import tiny_model
from tests.unit.models.schemas import admits, schemas
from tests.unit.models.sentencepiece_style import STYLES, sentencepiece_style

from aspen.errors import InvalidInput, MissingDependency, ModelError
from aspen.models import Generation, LanguageModel, generate, json_grammar
from aspen.testing.fake_model import IM_END, FakeModel
from aspen.types import SamplerSettings

TOOL_CALL = {
    "type": "object",
    "properties": {
        "tool": {"enum": ["search_memories", "spread_activation", "remember"]},
        "arguments": {
            "type": "object",
            "properties": {
                "query": {"type": "string", "maxLength": 20},
                "top_k": {"type": "integer", "minimum": 1, "maximum": 50},
                "weight": {"type": "number", "minimum": 0, "maximum": 1},
            },
            "required": ["query", "top_k", "weight"],
        },
    },
    "required": ["tool", "arguments"],
}
WILD = SamplerSettings(temperature=5.0, top_p=1.0, top_k=0)
GREEDY = SamplerSettings(temperature=0.0)
MODELS: dict[str, LanguageModel] = {
    "fake": FakeModel(),
    "byte-level": tiny_model(),
    **{style: tiny_model(tokenizer=sentencepiece_style(style)) for style in STYLES},
}


def reply(model: Any, schema: dict[str, Any], *, seed: int = 1, **options: Any) -> Generation:
    session = options.pop("session", None) or model.start_session()
    return generate(
        model,
        session=session,
        prompt_ids=np.arange(10, 15, dtype=np.int32),
        settings=options.pop("settings", WILD),
        seed=seed,
        max_tokens=options.pop("max_tokens", 100),
        constraint=json_grammar(model, schema),
        **options,
    )


class Stubborn(FakeModel):
    """Wants the same few bytes at every step, in that order of preference, and never to end."""

    def __init__(self, wanted: str) -> None:
        super().__init__(context_length=100_000)
        self.logits = np.zeros(self.info.vocab_size, dtype=np.float32)
        self.logits[IM_END] = -50
        for rank, byte in enumerate(wanted.encode()):
            self.logits[byte] = 50 - rank
        self.length = 0

    def start_session(self) -> Any:
        return self

    def prefill(self, token_ids: Any) -> Any:
        self.length += len(token_ids)
        return self.logits

    def decode(self, token_id: int) -> Any:
        return self.prefill([token_id])


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    schema=schemas(),
    seed=st.integers(0, 3),
    name=st.sampled_from(sorted(MODELS)),
    temperature=st.sampled_from([0.0, 0.7, 5.0]),
    penalty=st.sampled_from([1.0, 1.8]),
)
def test_what_is_said_follows_the_schema(
    schema: dict[str, Any], seed: int, name: str, temperature: float, penalty: float
) -> None:
    sampler = SamplerSettings(temperature=temperature, top_p=1.0, top_k=0, repetition_penalty=penalty)
    said = reply(MODELS[name], schema, seed=seed, settings=sampler)
    if said.finish_reason == "length":
        assert len(said.token_ids) == 100
        return
    assert admits(schema, json.loads(said.text))
    without_strings = re.sub(r'"(\\.|[^"\\])*"', "", said.text)
    assert not re.search(r"\s", without_strings)
    assert not re.search(r"[\x00-\x1f\x7f\ufffd]", said.text)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("sampler", [GREEDY, WILD, SamplerSettings(repetition_penalty=3.0)])
def test_a_random_model_calls_a_tool(name: str, sampler: SamplerSettings) -> None:
    pieces: list[str] = []
    said = reply(MODELS[name], TOOL_CALL, settings=sampler, on_text=pieces.append, max_tokens=400)
    if said.finish_reason == "stop":
        assert admits(TOOL_CALL, json.loads(said.text))
    else:
        assert MODELS[name].info.context_length - 5 == len(said.token_ids)
    assert "".join(pieces) == said.text
    again = reply(MODELS[name], TOOL_CALL, settings=sampler, max_tokens=400)
    assert again.text == said.text


@pytest.mark.parametrize(
    "wanted", ["a", "\\", "9", "0.9", "-1e", "[", "{", " \n\t", "\u00fc", ",", "[[]]", '"']
)
def test_no_stubbornness_keeps_a_bounded_schema_from_its_end(wanted: str) -> None:
    schema = {
        "type": "object",
        "properties": {
            "text": {"type": "string"},
            "count": {"type": "integer"},
            "weight": {"type": "number"},
            "share": {"type": "number", "minimum": 0, "maximum": 1},
            "tags": {
                "type": "array",
                "items": {"type": "array", "items": {"type": "string", "maxLength": 5}},
            },
            "when": {"type": "string", "format": "date-time"},
        },
        "required": ["text", "count", "weight", "share", "tags", "when"],
    }
    said = reply(Stubborn(wanted), schema, settings=GREEDY, max_tokens=20_000)
    assert said.finish_reason == "stop"
    value = json.loads(said.text)
    assert len(value["text"]) <= 500
    assert abs(value["count"]) < 2**53
    assert 0 <= value["share"] <= 1


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"inner": {"$ref": "#"}, "text": {"type": "string"}}},
        {"$ref": "#/$defs/list", "$defs": {"list": {"type": "array", "items": {"$ref": "#/$defs/list"}}}},
        {},
    ],
)
def test_recursion_ends_at_the_limit_of_tokens(schema: dict[str, Any]) -> None:
    said = reply(Stubborn('[{"i'), schema, settings=GREEDY, max_tokens=700)
    assert (said.finish_reason, len(said.token_ids)) == ("length", 700)


def test_recursion_without_a_way_out_is_an_error() -> None:
    schema = {"type": "object", "properties": {"inner": {"$ref": "#"}}, "required": ["inner"]}
    with pytest.raises(ModelError, match="no longer"):
        reply(FakeModel(), schema)


def test_a_text_that_is_whole_at_the_limit_is_whole() -> None:
    assert reply(FakeModel(), {"const": "four"}, max_tokens=6).finish_reason == "stop"
    cut = reply(FakeModel(), {"const": "four"}, max_tokens=5)
    assert (cut.finish_reason, cut.text) == ("length", '"four')


def test_the_context_is_a_limit_too() -> None:
    model = FakeModel(context_length=9)
    said = reply(model, {"const": "four"})
    assert (said.finish_reason, said.text) == ("length", '"fou')


def test_the_last_token_is_not_fed_back_and_all_others_are() -> None:
    model = FakeModel()
    session = model.start_session()
    said = reply(model, TOOL_CALL, session=session, max_tokens=400)
    assert session.length == 5 + len(said.token_ids) - 1
    assert session.token_ids[5:] == said.token_ids[:-1].tolist()


@pytest.mark.parametrize("name", MODELS)
def test_text_without_a_choice_is_said_in_the_tokenizer_s_own_tokens(name: str) -> None:
    model = MODELS[name]
    text = "search_memories for the lazy dog 🙂"
    said = reply(model, {"const": text}, settings=WILD)
    assert json.loads(said.text) == text
    tokens = [model.vocabulary()[i] for i in said.token_ids]
    own = [model.vocabulary()[i] for i in model.tokenize(f'\n"{text}"')]
    # The quotes may go with their neighbours in either way, the words between may not.
    assert tokens[2:-2] == own[-len(tokens) :][2:-2]
    assert len(tokens) < len(text) or name == "fake"


def test_a_control_token_in_the_schema_is_spelt_out() -> None:
    model = MODELS["byte-level"]
    said = reply(model, {"const": "<|im_end|>"})
    assert said.text == '"<|im_end|>"'
    assert model.info.stop_ids.isdisjoint(said.token_ids.tolist())


def test_without_a_choice_no_number_is_drawn() -> None:
    # The same draws, so the same free part, whether fixed text goes before it or not.
    model = Stubborn("")
    drawn = {"a": {"type": "string", "maxLength": 30}}
    rote = {"rote": {"const": "said by rote"}}
    free = {"type": "object", "properties": drawn, "required": ["a"]}
    fixed = {"type": "object", "properties": {**rote, **drawn}, "required": ["rote", "a"]}
    for seed in range(5):
        said = [json.loads(reply(model, schema, seed=seed, settings=WILD).text) for schema in (free, fixed)]
        assert said[0]["a"] == said[1]["a"]


def test_where_the_text_may_end_a_stop_token_ends_it() -> None:
    eager, tireless = Stubborn("7"), Stubborn("7")
    eager.logits[IM_END] = 100
    said = reply(eager, {"type": "integer"}, settings=GREEDY)
    assert (said.text, said.finish_reason, said.token_ids.tolist()) == ("7", "stop", [ord("7"), IM_END])
    said = reply(tireless, {"type": "integer"}, settings=GREEDY)
    assert (said.text, said.finish_reason) == ("7" * 16, "stop")  # no longer than 2**53 is


def test_a_model_without_a_stop_token_ends_as_well() -> None:
    model = tiny_model()
    model._info = type(model.info)(**{**_fields(model.info), "stop_ids": frozenset()})
    said = reply(model, {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]})
    assert said.finish_reason == "stop"
    assert json.loads(said.text)["a"] in (True, False)


def _fields(info: Any) -> dict[str, Any]:
    return {name: getattr(info, name) for name in info.__dataclass_fields__}


def test_without_a_constraint_nothing_changes() -> None:
    model = FakeModel()
    settings_ = SamplerSettings(temperature=1.0)
    plain, given_none = (
        generate(
            model,
            session=model.start_session(),
            prompt_ids=np.arange(10, 15, dtype=np.int32),
            settings=settings_,
            seed=11,
            max_tokens=30,
            **options,
        )
        for options in ({}, {"constraint": None})
    )
    assert np.array_equal(plain.token_ids, given_none.token_ids)


@pytest.mark.parametrize(
    ("schema", "what"),
    [
        ({"type": "nope"}, "Invalid type: nope"),
        ({"type": "array", "uniqueItems": True}, "uniqueItems"),
        ({"not": {"type": "string"}}, "not"),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "oneOf"),
        ({"type": "string", "minLength": 5, "maxLength": 3}, "minLength"),
        ({"$ref": "#/$defs/nowhere"}, "nowhere"),
        ({"$ref": "https://example.org/schema"}, "example.org"),
        ({"type": "string", "format": "no-such-format"}, "no-such-format"),
        ({"enum": []}, "empty"),
        ({"type": "object", "properties": {"a": {"type": "string", "minLength": "x"}}}, "minLength"),
        ({"not": {}, "x-guidance": {"lenient": True}}, "not"),
        ({"enum": ["\x00"]}, "control characters"),
        ({"const": {1, 2}}, "written as JSON"),
        ({"maximum": float("nan")}, "written as JSON"),
        (True, "not bool"),
        ("{}", "not str"),
    ],
)
def test_a_schema_that_cannot_be_followed_is_refused_with_the_reason(schema: Any, what: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(what)):
        json_grammar(FakeModel(), schema)


def test_a_schema_that_goes_round_in_circles_is_refused() -> None:
    schema: dict[str, Any] = {"type": "array"}
    schema["items"] = schema
    with pytest.raises(InvalidInput, match="Circular"):
        json_grammar(FakeModel(), schema)


@pytest.mark.parametrize("schema", [{"const": "ba"}, {"type": "string", "pattern": "^[bc]a$"}])
def test_a_vocabulary_that_cannot_write_it_is_told(schema: dict[str, Any]) -> None:
    class WithoutA(FakeModel):
        def vocabulary(self) -> list[bytes]:
            return [b"" if token == b"a" else token for token in super().vocabulary()]

    with pytest.raises(ModelError, match="no token"):
        reply(WithoutA(), schema)


def test_a_token_out_of_place_is_refused_and_the_text_goes_on() -> None:
    state = json_grammar(FakeModel(), {"enum": ["ab", "ac"]}).start()
    for token in b'"a':
        state.advance(token)
    with pytest.raises(InvalidInput, match="Token 100"):
        state.advance(ord("d"))
    assert np.flatnonzero(state.allowed()).tolist() == [ord("b"), ord("c")]
    for token in b'b"':
        assert not state.is_complete
        state.advance(token)
    assert state.is_complete
    assert np.flatnonzero(state.allowed()).tolist() == [IM_END]


def test_a_grammar_is_compiled_once_for_a_model_and_schema() -> None:
    model = FakeModel()
    first = json_grammar(model, TOOL_CALL)
    assert json_grammar(model, json.loads(json.dumps(TOOL_CALL))) is first
    properties: Any = TOOL_CALL["properties"]
    swapped = {**TOOL_CALL, "properties": dict(reversed(properties.items()))}
    assert json_grammar(model, swapped) is not first
    assert json_grammar(FakeModel(), TOOL_CALL) is not first
    for length in range(63):
        json_grammar(model, {"type": "string", "maxLength": length})
    assert json_grammar(model, TOOL_CALL) is not first  # long unused, it made room
    assert json_grammar(model, TOOL_CALL) is json_grammar(model, TOOL_CALL)


def test_a_grammar_does_not_keep_its_model_alive() -> None:
    model = FakeModel()
    grammar = json_grammar(model, TOOL_CALL)
    reply(model, TOOL_CALL)
    watched = weakref.ref(model)
    del model
    gc.collect()
    assert watched() is None
    assert grammar.start().allowed().sum() == 1


def test_one_grammar_serves_several_threads() -> None:
    model = FakeModel()
    alone = [reply(model, TOOL_CALL, seed=seed, max_tokens=400).text for seed in range(12)]
    with ThreadPoolExecutor(4) as pool:
        together = pool.map(lambda seed: reply(model, TOOL_CALL, seed=seed, max_tokens=400).text, range(12))
        assert list(together) == alone
    assert len(set(alone)) > 6


def test_a_constraint_for_another_vocabulary_is_refused_before_the_session_is_touched() -> None:
    model = FakeModel()
    session = model.start_session()
    with pytest.raises(InvalidInput, match="vocabulary of 512 tokens, not 258"):
        generate(
            model,
            session=session,
            prompt_ids=np.arange(5, dtype=np.int32),
            settings=GREEDY,
            seed=0,
            max_tokens=5,
            constraint=json_grammar(MODELS["byte-level"], TOOL_CALL),
        )
    assert session.length == 0


def test_without_the_package_the_command_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(MissingDependency, match="llguidance") as caught:
        json_grammar(FakeModel(), TOOL_CALL)
    assert caught.value.hint == "Install it with: pip install 'aspen-memory[agent]'"
    assert caught.value.details == {"package": "llguidance"}
