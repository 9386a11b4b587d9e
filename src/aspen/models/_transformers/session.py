"""One sequence in the making: a KV cache, fed by prefill and decode."""

from __future__ import annotations

import inspect
import threading
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache, PreTrainedModel

from aspen.errors import InvalidInput, ModelError, PromptTooLong
from aspen.models._transformers.recording import Recorder
from aspen.models.interface import ModelInfo
from aspen.types import FloatArray, TokenIds


def check_token_ids(token_ids: TokenIds, *, info: ModelInfo) -> None:
    """Raise InvalidInput unless `token_ids` is a non-empty int array [T] of ids that the model has."""
    if token_ids.ndim != 1 or len(token_ids) == 0 or token_ids.dtype.kind not in "iu":
        raise InvalidInput(
            f"Token ids are a non-empty array of integers [T], not {token_ids.dtype} {list(token_ids.shape)}."
        )
    lowest, highest = int(token_ids.min()), int(token_ids.max())
    if lowest < 0 or highest >= info.vocab_size:
        raise InvalidInput(
            f"Token ids must lie in 0..{info.vocab_size - 1}; these range from {lowest} to {highest}.",
            hint="They were made by another model's tokenizer.",
        )


class TransformersSession:
    """Implements `Session` over transformers' own KV cache."""

    def __init__(
        self, hf: PreTrainedModel, *, info: ModelInfo, lock: threading.RLock, recorder: Recorder | None
    ) -> None:
        self._hf = hf
        self._info = info
        self._lock = lock
        self._recorder = recorder
        self._cache = DynamicCache(config=hf.config)
        self._length = 0
        self._broken = False
        # Without this argument the logits of every token are computed, to be thrown away.
        last_only = "logits_to_keep" in inspect.signature(hf.forward).parameters
        self._options: dict[str, Any] = {"logits_to_keep": 1} if last_only else {}

    @property
    def length(self) -> int:
        return self._length

    def prefill(self, token_ids: TokenIds) -> FloatArray:
        """float32 [V]; see `Session.prefill`. Raises PromptTooLong where the context would overflow."""
        check_token_ids(token_ids, info=self._info)
        return self._feed(torch.from_numpy(token_ids.astype(np.int64))[None])

    def decode(self, token_id: int) -> FloatArray:
        """float32 [V]; see `Session.decode`."""
        if not 0 <= token_id < self._info.vocab_size:
            raise InvalidInput(f"Token ids must lie in 0..{self._info.vocab_size - 1}, not {token_id}.")
        return self._feed(torch.tensor([[token_id]]))

    def _feed(self, ids: torch.Tensor) -> FloatArray:
        """Run int64 [1, n] through the model; the logits after the last token, float32 [V]."""
        count = ids.shape[1]
        if self._broken:
            raise ModelError("An earlier step of this session failed half-way.", hint="Start a new session.")
        if self._length + count > self._info.context_length:
            raise PromptTooLong(
                f"{self._length + count} tokens do not fit a context of {self._info.context_length}.",
                hint="Shorten the prompt, or take a model with a longer context.",
                tokens=self._length + count,
                context_length=self._info.context_length,
            )
        # Interrupted between two layers, the cache holds the token in some of them only.
        self._broken = True
        with self._lock, torch.inference_mode():
            ids = ids.to(self._hf.device)
            recorder = self._recorder if self._recorder is not None and self._recorder.is_open else None
            if recorder is not None:
                recorder.begin(ids)
            try:
                output = self._hf(input_ids=ids, past_key_values=self._cache, use_cache=True, **self._options)
            except BaseException:
                if recorder is not None:
                    recorder.drop()
                raise
            if recorder is not None:
                recorder.end()
            logits: FloatArray = output.logits[0, -1].to(device="cpu", dtype=torch.float32).numpy().copy()
        self._length += count
        self._broken = False
        return logits
