"""What the models of both runtimes have in common: their text, their hashes, and what follows from other methods."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property

from aspen.errors import ModelError
from aspen.models.fingerprint import PROBE_TEXT, template_sha256, tokenizer_sha256
from aspen.models.heads import Captured, HeadRef, Rotary
from aspen.models.interface import ChatPrompt, ModelInfo
from aspen.models.text import TextCodec
from aspen.types import FloatArray, Message, TokenIds


class RuntimeModel(ABC):
    """The part of `LanguageModel` that needs no forward pass.

    Two locks cover a model. Forward passes are taken one after the other; a recording, as long as it is open, lets only
    its own thread start sessions. Passes of other threads that record nothing (`capture`) go on between the steps of
    the recorded session.

    Parameters
    ----------
    weights_hash:
        Computes the SHA-256 that stands for the weights; called once, when `fingerprint` is first asked for.
    """

    def __init__(self, info: ModelInfo, *, text: TextCodec, weights_hash: Callable[[], str]) -> None:
        self._info = info
        self._text = text
        self._weights_hash = weights_hash
        self._lock = threading.RLock()  # held for one pass
        self._turn = threading.RLock()  # held as long as a recording is open; taken before the other

    @property
    def info(self) -> ModelInfo:
        """Its shape."""
        return self._info

    def tokenize(self, text: str) -> TokenIds:
        """int32 [T]; see `LanguageModel.tokenize`.

        Where the text spells a control token, a zero-width space is put behind its first character.
        """
        return self._text.tokenize(text)

    def detokenize(self, token_ids: TokenIds, *, skip_special: bool = True) -> str:
        """See `LanguageModel.detokenize`."""
        return self._text.detokenize(token_ids, skip_special=skip_special)

    def vocabulary(self) -> tuple[bytes, ...]:
        """Computed once; see `LanguageModel.vocabulary`."""
        return self._token_bytes

    def apply_chat_template(self, messages: Sequence[Message]) -> ChatPrompt:
        """See `LanguageModel.apply_chat_template`."""
        return self._text.apply_chat_template(messages)

    def capture(self, batch: Sequence[TokenIds], *, layers: Sequence[int]) -> list[FloatArray]:
        """float32 [len(layers), T, D] for each sequence; see `LanguageModel.capture`.

        A sequence by itself gives the very numbers of a full pass. Raises InvalidInput on an empty sequence or an
        unknown layer, PromptTooLong on a sequence beyond the context.
        """
        return [one.hidden_states for one in self.capture_with_heads(batch, layers=layers, heads=())]

    @abstractmethod
    def capture_with_heads(
        self, batch: Sequence[TokenIds], *, layers: Sequence[int], heads: Sequence[HeadRef]
    ) -> list[Captured]:
        """See `LanguageModel.capture_with_heads`."""

    def fragments_refused(self) -> str | None:
        """See `LanguageModel.fragments_refused`."""
        try:
            return None if self._rotaries else "the model has no blocks"
        except ModelError as error:
            return error.message

    @property
    @abstractmethod
    def _rotaries(self) -> tuple[Rotary, ...]:
        """Of each block; ModelError with the reason where fragments cannot be moved."""

    @cached_property
    def _token_bytes(self) -> tuple[bytes, ...]:
        return self._text.token_bytes(self._info.vocab_size)

    @cached_property
    def _hashes(self) -> tuple[str, str, str]:
        """Of weights, tokenizer and chat template."""
        return (
            self._weights_hash(),
            tokenizer_sha256(self._text.vocabulary(), probe_ids=self._text.probe(PROBE_TEXT)),
            template_sha256(self._text.template),
        )
