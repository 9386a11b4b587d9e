"""The bytes that each token of a transformers tokenizer stands for, read from how it decodes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from aspen.errors import ModelError

_Spelling = Callable[[str], str | bytes]
"""One step of decoding a single token: its string, or, where no step follows, its bytes."""

#: They only join tokens, or touch the very start of a text.
_WITHOUT_EFFECT = frozenset({"Fuse", "Strip"})
_BYTE_TOKEN_LENGTH = len("<0x0A>")


def token_bytes(tokenizer: Any, *, size: int, silent: Iterable[int]) -> tuple[bytes, ...]:
    """What each of the ids 0..size-1 adds to a text, in bytes: a token may hold part of a character.

    b"" for the ids in `silent` and for those that the tokenizer does not have. Exact for byte-level BPE (GPT-2, Qwen,
    SmolLM) and for the SentencePiece style with "▁" and <0x0A> (Llama, Mistral, Gemma); a blank that such a tokenizer
    puts before a text is part of its first token. Raises ModelError for a tokenizer that decodes in another way.
    """
    steps = _steps(tokenizer)
    # What decoding starts from; the names in get_vocab() may differ for added tokens.
    names = map(tokenizer.backend_tokenizer.id_to_token, range(size))
    without = frozenset(silent)
    return tuple(
        b"" if name is None or i in without else _spelt(name, steps=steps) for i, name in enumerate(names)
    )


def _spelt(token: str, *, steps: list[_Spelling]) -> bytes:
    spelling: str | bytes = token
    for step in steps:
        if isinstance(spelling, bytes):
            break
        spelling = step(spelling)
    return spelling if isinstance(spelling, bytes) else spelling.encode()


def _steps(tokenizer: Any) -> list[_Spelling]:
    if not tokenizer.is_fast:
        raise _unknown(type(tokenizer).__name__)
    decoder = tokenizer.backend_tokenizer.decoder
    if decoder is None:
        raise _unknown("a tokenizer that joins words by blanks")
    described = json.loads(decoder.__getstate__())
    parts = described["decoders"] if described["type"] == "Sequence" else [described]
    return [_step(part) for part in parts if part["type"] not in _WITHOUT_EFFECT]


def _step(part: dict[str, Any]) -> _Spelling:
    match part:
        case {"type": "ByteLevel"}:
            return _byte_level(_byte_alphabet())
        case {"type": "ByteFallback"}:
            return _byte_fallback
        case {"type": "Replace", "pattern": {"String": str(old)}, "content": str(new)}:
            return lambda token: token.replace(old, new)
        case {"type": "Metaspace", "replacement": str(blank)}:
            return lambda token: token.replace(blank, " ")
    raise _unknown(f"the decoder {part['type']}")


def _byte_level(alphabet: dict[str, int]) -> _Spelling:
    def spell(token: str) -> bytes:
        # An added token outside the alphabet, such as a run of blanks, stands for itself.
        if all(character in alphabet for character in token):
            return bytes(alphabet[character] for character in token)
        return token.encode()

    return spell


def _byte_fallback(token: str) -> str | bytes:
    if len(token) == _BYTE_TOKEN_LENGTH and token.startswith("<0x") and token.endswith(">"):
        try:
            return bytes.fromhex(token[3:5])
        except ValueError:
            return token
    return token


def _byte_alphabet() -> dict[str, int]:
    """The character that byte-level BPE (Radford et al. 2019) writes for each byte: itself where it can be seen."""
    seen = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    unseen = [byte for byte in range(256) if byte not in seen]
    return {chr(byte): byte for byte in seen} | {chr(256 + i): byte for i, byte in enumerate(unseen)}


def _unknown(what: str) -> ModelError:
    return ModelError(
        f"The bytes of this model's tokens cannot be told: {what} is not known here.",
        hint="Take a model with a byte-level or SentencePiece tokenizer, such as Llama, Qwen, Gemma or SmolLM.",
    )
