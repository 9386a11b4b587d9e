"""The bundled model's tokenizer through llama.cpp and through transformers: the same, but for one thing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.gguf_vocabularies import gguf_tokenizer
from tokenizers import pre_tokenizers
from transformers import AutoTokenizer

from aspen.activation_db.calibration import calibration_text
from aspen.config import Config
from aspen.errors import MissingDependency
from aspen.models import bundled
from aspen.models._transformers import convert_gguf
from aspen.models._transformers.text import TransformersTokenizer
from aspen.models.text import TextCodec
from aspen.types import Message, Role

pytestmark = pytest.mark.slow

VOCABULARY = 49_152
#: llama.cpp cuts some characters that Unicode has not assigned in a way of its own. Six control characters that the
#: vocabulary does not have are dropped by both, but only transformers then joins what was on both sides of them.
CHARACTERS = st.characters(exclude_categories=["Cs", "Cn", "Cc"], include_characters="\n\r\t")


@pytest.fixture(scope="module")
def converted() -> Any:
    """The transformers tokenizer of the unpacked model."""
    try:
        bundled.find_source()
    except MissingDependency as error:
        pytest.skip(str(error))
    folder = bundled.prepare_bundled(Config.from_environment().cache_dir, convert=convert_gguf).folder
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def expected(converted: Any) -> TextCodec:
    """The tokenizer that SmolLM2 was trained with: each digit is a word.

    transformers leaves that out of what it makes of a GGUF file, and so cuts "  1" and "½" in another way.
    """
    converted.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    return TextCodec(TransformersTokenizer(converted))


@pytest.fixture(scope="module")
def llama() -> Iterator[TextCodec]:
    with gguf_tokenizer(bundled.find_source()) as tokenizer:
        yield TextCodec(tokenizer)


def test_the_vocabulary_is_the_same(llama: TextCodec, expected: TextCodec) -> None:
    assert llama.vocabulary() == expected.vocabulary()
    assert llama.control == expected.control
    assert llama.template == expected.template
    assert llama.token_bytes(VOCABULARY) == expected.token_bytes(VOCABULARY)
    assert llama.end_of_turn_ids() == expected.end_of_turn_ids()


def test_every_token_decodes_to_the_same(llama: TextCodec, expected: TextCodec) -> None:
    for i in range(VOCABULARY):
        ids = np.array([i, 81], dtype=np.int32)
        assert llama.detokenize(ids) == expected.detokenize(ids), i


@settings(max_examples=500, deadline=None)
@given(st.text(CHARACTERS, max_size=80))
def test_any_text_is_the_same(llama: TextCodec, expected: TextCodec, text: str) -> None:
    ids = expected.tokenize(text)
    assert llama.tokenize(text).tolist() == ids.tolist()
    assert llama.detokenize(ids) == expected.detokenize(ids)
    messages = [Message(Role.SYSTEM, text), Message(Role.USER, text[::-1])]
    prompt, other = llama.apply_chat_template(messages), expected.apply_chat_template(messages)
    assert (prompt.text, prompt.token_ids.tolist()) == (other.text, other.token_ids.tolist())
    assert prompt.spans == other.spans


def test_calibration_text_is_the_same_as_converted(llama: TextCodec) -> None:
    folder = Config.from_environment().cache_dir / "bundled" / bundled.NAME
    as_converted = TextCodec(TransformersTokenizer(AutoTokenizer.from_pretrained(folder)))
    turns, questions = calibration_text()
    for text in (*turns, *questions):
        assert llama.tokenize(text).tolist() == as_converted.tokenize(text).tolist()
