"""A transformers tokenizer, as `TextCodec` wants it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from aspen.models._transformers.vocabulary import token_bytes
from aspen.models.text import AddedToken


class TransformersTokenizer:
    """Implements `Tokenizer`.

    Parameters
    ----------
    tokenizer:
        A transformers tokenizer, fast or slow. It is not changed.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        # transformers sets truncation and padding on the shared backend at every call.
        self._lock = threading.Lock()

    @property
    def template(self) -> str | None:
        """See `Tokenizer.template`."""
        template = self._tokenizer.chat_template
        if isinstance(template, dict):  # several named ones
            template = template.get("default")
        return template if isinstance(template, str) and template else None

    def added_tokens(self) -> list[AddedToken]:
        """See `Tokenizer.added_tokens`; the tokenizer's named tokens (eos, unk ...) count as special."""
        added = self._tokenizer.added_tokens_decoder.items()
        named = zip(self._tokenizer.all_special_tokens, self._tokenizer.all_special_ids, strict=True)
        return [
            *(AddedToken(int(i), str(token), bool(token.special)) for i, token in added),
            *(AddedToken(int(i), str(token), special=True) for token, i in named),
        ]

    def encode(self, text: str) -> list[int]:
        """See `Tokenizer.encode`."""
        with self._lock:
            encoded = self._tokenizer(text, add_special_tokens=False, verbose=False)
        return list(encoded["input_ids"])

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]] | None:
        """See `Tokenizer.encode_with_offsets`; None for slow tokenizers."""
        if not self._tokenizer.is_fast:
            return None
        with self._lock:
            encoded = self._tokenizer(
                text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
            )
        return list(encoded["input_ids"]), list(encoded["offset_mapping"])

    def decode(self, token_ids: Sequence[int], *, skip_special: bool) -> str:
        """See `Tokenizer.decode`."""
        with self._lock:
            text = self._tokenizer.decode(
                list(token_ids), skip_special_tokens=skip_special, clean_up_tokenization_spaces=False
            )
        return str(text)

    def render(self, conversation: Sequence[dict[str, str]], *, reply: bool) -> str:
        """See `Tokenizer.render`."""
        with self._lock:
            text = self._tokenizer.apply_chat_template(
                list(conversation), tokenize=False, add_generation_prompt=reply
            )
        return str(text)

    def vocabulary(self) -> dict[str, int]:
        """See `Tokenizer.vocabulary`."""
        return dict(self._tokenizer.get_vocab())

    def token_bytes(self, *, size: int, silent: frozenset[int]) -> tuple[bytes, ...]:
        """See `Tokenizer.token_bytes`."""
        return token_bytes(self._tokenizer, size=size, silent=silent)
