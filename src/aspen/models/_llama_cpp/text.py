"""A GGUF's vocabulary, as `TextCodec` wants a tokenizer."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from aspen.errors import InvalidInput, ModelError
from aspen.models._llama_cpp.c_api import (
    ATTR_CONTROL,
    ATTR_UNKNOWN,
    ATTR_USER_DEFINED,
    VOCAB_NONE,
    VOCAB_SENTENCEPIECE,
)
from aspen.models._llama_cpp.library import Library
from aspen.models._llama_cpp.template import ChatTemplate
from aspen.models.text import AddedToken

_SPECIAL = ATTR_CONTROL | ATTR_UNKNOWN
_ADDED = _SPECIAL | ATTR_USER_DEFINED
_BLANK = "\u2581"  # "▁"
_USUAL_PIECE = 64  # bytes; a longer piece is asked for again
_MOST_BYTES = 2**31 - 1  # llama.cpp counts in int32


class LlamaTokenizer:
    """Implements `Tokenizer` over the vocabulary and the chat template of a loaded model.

    llama.cpp's `llama_detokenize` is not used: it drops blanks before punctuation for some vocabularies.

    Parameters
    ----------
    library:
        The opened library.
    model:
        A `llama_model *`, maybe loaded with `vocab_only`. It must stay loaded as long as this is used.

    Raises ModelError where the file brings no vocabulary, or one that llama.cpp would end the process over.
    """

    def __init__(self, library: Library, model: int) -> None:
        self._library = library
        self._vocab = library.llama_model_get_vocab(model)
        self.size = int(library.llama_vocab_n_tokens(self._vocab))
        kind = library.llama_vocab_type(self._vocab)
        if kind == VOCAB_NONE or self.size < 1:
            raise ModelError("The GGUF file brings no vocabulary.", hint="Take one that was converted whole.")
        self._attributes = [int(library.llama_vocab_get_attr(self._vocab, i)) for i in range(self.size)]
        if kind == VOCAB_SENTENCEPIECE:
            self._check_bytes()
        self._leads_with_blank = b"".join(map(self._piece, self.encode("x"))).startswith(b" ")
        source = library.llama_model_chat_template(model, None)
        self._template = source.decode(errors="replace") if source else None
        self._renderer = ChatTemplate(self._template, named=self._named()) if self._template else None

    @property
    def template(self) -> str | None:
        """See `Tokenizer.template`."""
        return self._template

    def added_tokens(self) -> list[AddedToken]:
        """See `Tokenizer.added_tokens`: control tokens, the unknown one, and those that the file calls user-defined."""
        return [
            AddedToken(i, self._string(i), special=bool(attribute & _SPECIAL))
            for i, attribute in enumerate(self._attributes)
            if attribute & _ADDED
        ]

    def end_of_generation_ids(self) -> frozenset[int]:
        """Tokens after which llama.cpp ends a reply: end of text, of turn, of message."""
        return frozenset(i for i in range(self.size) if self._library.llama_vocab_is_eog(self._vocab, i))

    def encode(self, text: str) -> list[int]:
        """See `Tokenizer.encode`."""
        return self._encode(text.encode())

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]] | None:
        """See `Tokenizer.encode_with_offsets`; None where the tokens' bytes, put together, are not the text."""
        ids = self._encode(text.encode())
        pieces = self._own_pieces(ids)
        stops = np.cumsum([0, *map(len, pieces)])
        character = self._characters(text, spelt=b"".join(pieces))
        if character is None:
            return None
        return ids, [
            (int(character[start]), int(character[stop - 1]) + 1 if stop > start else int(character[start]))
            for start, stop in pairwise(stops)
        ]

    def decode(self, token_ids: Sequence[int], *, skip_special: bool) -> str:
        """See `Tokenizer.decode`. Raises InvalidInput on an id that the vocabulary does not have."""
        for i in token_ids:
            if not 0 <= i < self.size:  # llama.cpp would end the process
                raise InvalidInput(f"Token ids are 0 to {self.size - 1}, not {i}.", token_id=i)
        data = b"".join(
            self._piece(i) for i in token_ids if not (skip_special and self._attributes[i] & _SPECIAL)
        )
        if self._leads_with_blank:
            data = data.removeprefix(b" ")
        return data.decode(errors="replace")

    def render(self, conversation: Sequence[dict[str, str]], *, reply: bool) -> str:
        """See `Tokenizer.render`."""
        assert self._renderer is not None, "TextCodec renders nothing without a template"  # noqa: S101
        return self._renderer.render(conversation, reply=reply)

    def vocabulary(self) -> dict[str, int]:
        """See `Tokenizer.vocabulary`."""
        return {self._string(i): i for i in range(self.size)}

    def token_bytes(self, *, size: int, silent: frozenset[int]) -> tuple[bytes, ...]:
        """See `Tokenizer.token_bytes`."""
        return tuple(b"" if i in silent or i >= self.size else self._piece(i) for i in range(size))

    def _encode(self, data: bytes) -> list[int]:
        if len(data) > _MOST_BYTES:
            raise InvalidInput(f"The text holds {len(data)} bytes; llama.cpp takes {_MOST_BYTES} at most.")
        room = len(data) // 2 + 16
        while True:
            ids = (ctypes.c_int32 * room)()
            found = int(
                self._library.llama_tokenize(self._vocab, data, len(data), ids, room, False, True)  # noqa: FBT003
            )
            if found >= 0:
                return ids[:found]
            if -found > _MOST_BYTES:  # INT32_MIN stands for more tokens than it can count
                raise ModelError(f"llama.cpp cannot tokenise this text of {len(data)} bytes.")
            room = -found

    def _piece(self, i: int) -> bytes:
        """Bytes of a token; of a special one, its string."""
        room = _USUAL_PIECE
        while True:
            data = ctypes.create_string_buffer(room)
            found = int(self._library.llama_token_to_piece(self._vocab, i, data, room, 0, True))  # noqa: FBT003
            if found >= 0:
                return data.raw[:found]
            room = -found

    def _own_pieces(self, ids: Sequence[int]) -> list[bytes]:
        """The pieces of a text's tokens, without the blanks that llama.cpp puts before it and behind added tokens."""
        pieces = []
        behind_added = True
        for i in ids:
            added = bool(self._attributes[i] & _ADDED)
            piece = self._piece(i)
            pieces.append(piece[1:] if self._leads_with_blank and behind_added and not added else piece)
            behind_added = added
        return pieces

    def _characters(self, text: str, *, spelt: bytes) -> NDArray[np.int64] | None:
        """The character of the text that each of the spelt bytes belongs to, and one behind; None where they differ."""
        data = text.encode()
        character = _character_of_bytes(data)
        if spelt != data and _BLANK in text:  # SentencePiece cannot tell it from a blank
            data = text.replace(_BLANK, " ").encode()
            character = _character_of_bytes(data)
        if spelt != data and self._unspellable:  # byte-level BPE leaves out bytes that it has no token for
            character = character[[byte not in self._unspellable for byte in data]]
            data = data.translate(None, self._unspellable)
        return np.append(character, len(text)) if spelt == data else None

    @cached_property
    def _unspellable(self) -> bytes:
        """Bytes that no token stands for by itself."""
        single = {piece for piece in map(self._piece, range(self.size)) if len(piece) == 1}
        return bytes(byte for byte in range(256) if bytes([byte]) not in single)

    def _string(self, i: int) -> str:
        """What the file calls a token."""
        text: bytes = self._library.llama_vocab_get_text(self._vocab, i)
        return text.decode(errors="surrogateescape")

    def _named(self) -> dict[str, str]:
        """The tokens that a template may name, by the names that it has for them."""
        ids = {
            "bos_token": self._library.llama_vocab_bos(self._vocab),
            "eos_token": self._library.llama_vocab_eos(self._vocab),
        }
        return {name: self._string(i) for name, i in ids.items() if 0 <= i < self.size}

    def _check_bytes(self) -> None:
        """llama.cpp throws, and so ends the process, at a character that such a vocabulary cannot spell."""
        known = self.vocabulary()
        lacking = [byte for byte in range(256) if f"<0x{byte:02X}>" not in known]
        if lacking:
            raise ModelError(
                f"The GGUF file's vocabulary lacks the tokens of {len(lacking)} bytes, such as <0x{lacking[0]:02X}>.",
                hint="Convert the model again, with its original tokenizer.",
            )


def _character_of_bytes(data: bytes) -> NDArray[np.int64]:
    """Which character of a text in UTF-8 each byte belongs to, int64 [bytes]."""
    begins = (np.frombuffer(data, dtype=np.uint8) & 0xC0) != 0x80  # all but continuation bytes
    return np.cumsum(begins) - 1
