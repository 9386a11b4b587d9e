"""The bytes of tokens: put together, they are the text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tiny_models import VOCABULARY, tiny_model, tiny_tokenizer
from tests.unit.models.sentencepiece_style import SPECIAL, STYLES, sentencepiece_style
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from aspen.errors import ModelError
from aspen.models import LanguageModel
from aspen.models._transformers.vocabulary import token_bytes
from aspen.testing.fake_model import FakeModel

TEXTS = [
    "",
    "The quick brown fox",
    "naïve Ünïcode 🙂👩\u200d👩\u200d👧 日本語",
    "\n\n  two blanks\tand a tab\r\n",
    '{"tool":"search_memories","arguments":{"query":"a \\"quoted\\" word"}}',
    "a <0x41> that is text",
]
MODELS: dict[str, LanguageModel] = {
    "fake": FakeModel(),
    "byte-level": tiny_model(),
    **{style: tiny_model(tokenizer=sentencepiece_style(style)) for style in STYLES},
}


def spelt(model: LanguageModel, text: str) -> bytes:
    vocabulary = model.vocabulary()
    return b"".join(vocabulary[i] for i in model.tokenize(text))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("text", TEXTS)
def test_the_bytes_of_a_text_s_tokens_are_the_text(name: str, text: str) -> None:
    blank = b" " if name in ("llama", "metaspace") and text else b""  # these put one before every text
    assert spelt(MODELS[name], text) == blank + text.encode()


def test_an_added_token_may_stand_for_text() -> None:
    assert spelt(MODELS["gemma"], "some <b>bold</b> words") == b"some <b>bold</b> words"
    assert b"<b>" in MODELS["gemma"].vocabulary()


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="▁"), max_size=30))
def test_so_are_those_of_any_text(text: str) -> None:
    for name in ("fake", "byte-level", "gemma"):
        model = MODELS[name]
        defused = model.detokenize(model.tokenize(text))  # a control token's string comes back broken up
        assert spelt(model, text) == defused.encode()


@pytest.mark.parametrize("name", MODELS)
def test_a_token_s_bytes_are_what_it_adds_to_a_text(name: str) -> None:
    model = MODELS[name]
    vocabulary = model.vocabulary()
    assert len(vocabulary) == model.info.vocab_size
    (start,) = [i for i, token in enumerate(vocabulary) if token == b"x"][-1:]
    for i, token in enumerate(vocabulary):
        text = model.detokenize(np.array([start, i, start], dtype=np.int32))
        assert text == f"x{token.decode(errors='replace')}x" or (b"\xc2" <= token[-1:] <= b"\xf4")


@pytest.mark.parametrize("style", STYLES)
def test_control_tokens_and_unused_ids_have_none(style: str) -> None:
    tokenizer = sentencepiece_style(style)
    vocabulary = MODELS[style].vocabulary()
    assert [vocabulary[i] for i in tokenizer.convert_tokens_to_ids(SPECIAL)] == [b""] * len(SPECIAL)
    assert len(tokenizer) < VOCABULARY == len(vocabulary)
    assert not any(vocabulary[len(tokenizer) :])
    assert vocabulary[tokenizer.convert_tokens_to_ids("<0x0A>")] == b"\n"
    assert vocabulary[tokenizer.convert_tokens_to_ids("<b>")] == b"<b>"


def test_markup_of_the_template_is_no_text() -> None:
    tokenizer = tiny_tokenizer()
    plain = tiny_model(tokenizer=tokenizer).vocabulary()
    tokenizer.chat_template += "<think>"
    thinking = tiny_model(tokenizer=tokenizer).vocabulary()
    i = tokenizer.convert_tokens_to_ids("<think>")
    assert (plain[i], thinking[i]) == (b"<think>", b"")


def test_ids_beyond_the_model_are_left_out() -> None:
    tokenizer = tiny_tokenizer()
    assert token_bytes(tokenizer, size=300, silent=[5, 400]) == (
        *token_bytes(tokenizer, size=VOCABULARY, silent=[5])[:300],
    )


def test_a_run_of_blanks_added_to_a_byte_level_tokenizer_stands_for_itself() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["    "])
    vocabulary = token_bytes(tokenizer, size=VOCABULARY + 1, silent=())
    i = tokenizer.convert_tokens_to_ids("    ")
    assert vocabulary[i] == tokenizer.decode([i]).encode() == b"    "


def test_an_added_token_that_is_normalised_gets_its_blank() -> None:
    tokenizer = sentencepiece_style("llama")
    tokenizer.add_tokens(["two words"])
    i = tokenizer.convert_tokens_to_ids("two words")
    assert token_bytes(tokenizer, size=VOCABULARY, silent=())[i] == b" two words"
    assert tokenizer.decode([tokenizer.convert_tokens_to_ids("x"), i]) == "x two words"


@pytest.mark.parametrize("decoder", [None, decoders.WordPiece(), decoders.BPEDecoder()])
def test_other_ways_of_decoding_are_refused(decoder: Any) -> None:
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "say": 1}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    if decoder is not None:
        tokenizer.decoder = decoder
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")
    with pytest.raises(ModelError, match="cannot be told") as caught:
        tiny_model(tokenizer=fast).vocabulary()
    assert "byte-level" in caught.value.hint


def test_a_slow_tokenizer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = tiny_tokenizer()
    monkeypatch.setattr(type(tokenizer), "is_fast", False)
    with pytest.raises(ModelError, match="is not known here"):
        token_bytes(tokenizer, size=10, silent=())
