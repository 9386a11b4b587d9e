"""One sequence in the making: a KV cache, fed by prefill and decode."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache, PreTrainedModel

from aspen.errors import InvalidInput, ModelError
from aspen.models._transformers.recording import Recorder
from aspen.models.heads import Rotary
from aspen.models.interface import ModelInfo
from aspen.models.kv import KVFragment
from aspen.types import FloatArray, TokenIds


class TransformersSession:
    """Implements `Session` over transformers' own KV cache."""

    def __init__(
        self,
        hf: PreTrainedModel,
        *,
        info: ModelInfo,
        lock: threading.RLock,
        recorder: Recorder | None,
        rotaries: Callable[[], Sequence[Rotary]],
    ) -> None:
        """`rotaries` gives the rotary embedding of each block; ModelError where KV fragments are refused."""
        self._hf = hf
        self._rotaries = rotaries
        self._info = info
        self._lock = lock
        self._recorder = recorder
        self._cache = DynamicCache(config=hf.config)
        self._ids: TokenIds = np.empty(0, dtype=np.int32)
        self._broken = False
        # Without this argument the logits of every token are computed, to be thrown away.
        last_only = "logits_to_keep" in inspect.signature(hf.forward).parameters
        self._last_only: dict[str, Any] = {"logits_to_keep": 1} if last_only else {}

    @property
    def length(self) -> int:
        return len(self._ids)

    def prefill(self, token_ids: TokenIds) -> FloatArray:
        """float32 [V]; see `Session.prefill`. Raises PromptTooLong where the context would overflow."""
        self._info.check_token_ids(token_ids)
        return self._last(torch.from_numpy(token_ids.astype(np.int64))[None])

    def prefill_each(self, token_ids: TokenIds) -> FloatArray:
        """float32 [n, V]; see `Session.prefill_each`. Raises as `prefill` does."""
        self._info.check_token_ids(token_ids)
        return self._feed(torch.from_numpy(token_ids.astype(np.int64))[None])

    def decode(self, token_id: int) -> FloatArray:
        """float32 [V]; see `Session.decode`."""
        if not 0 <= token_id < self._info.vocab_size:
            raise InvalidInput(f"Token ids must lie in 0..{self._info.vocab_size - 1}, not {token_id}.")
        return self._last(torch.tensor([[token_id]]))

    def rewind(self, length: int) -> None:
        """See `Session.rewind`."""
        self._require_whole()
        if not 0 <= length <= self.length:
            raise InvalidInput(f"A session of {self.length} tokens cannot be rewound to {length}.")
        if length == self.length:
            return
        if length == 0:  # which any cache can do, also one that lets go of tokens
            self._cache = DynamicCache(config=self._hf.config)
        else:
            self._broken = True  # until all layers are cut
            try:
                self._cache.crop(length - self.length)
            except RuntimeError as error:  # a window that has moved on
                raise ModelError(
                    "The cache has let go of earlier tokens and cannot be rewound.",
                    hint="Start a new session.",
                ) from error
            self._broken = False
        if self._recorder is not None and self._recorder.is_open:
            self._recorder.rewind(length)
        self._ids = self._ids[:length]

    def put(self, fragment: KVFragment) -> None:
        """See `Session.put`."""
        rotaries = self._rotaries()
        self._info.check_fragment(fragment, head_dim=self._head_dim)
        count = len(fragment.token_ids)
        self._require_room(count)
        positions = np.arange(self.length, self.length + count)
        self._broken = True
        with self._lock, torch.inference_mode():
            for layer, rotary in enumerate(rotaries):
                keys = rotary.rotate(fragment.keys[layer], positions)
                self._cache.update(self._placed(keys), self._placed(fragment.values[layer]), layer)
            if self._recorder is not None and self._recorder.is_open:
                ids = torch.from_numpy(fragment.token_ids.astype(np.int64))
                self._recorder.put(ids, [layer.keys[0] for layer in self._cache.layers], info=self._info)
        self._ids = np.concatenate([self._ids, fragment.token_ids.astype(np.int32)])
        self._broken = False

    def fragment(self, start: int, stop: int) -> KVFragment:
        """See `Session.fragment`. float32, whatever the model computes in."""
        rotaries = self._rotaries()
        self._require_whole()
        if not 0 <= start < stop <= self.length:
            raise InvalidInput(f"A session of {self.length} tokens has no tokens {start} to {stop}.")
        positions = np.arange(start, stop)
        keys, values = [], []
        for rotary, layer in zip(rotaries, self._cache.layers, strict=True):
            turned = layer.keys[0, :, start:stop].to(device="cpu", dtype=torch.float32).numpy()
            keys.append(rotary.rotate_back(turned, positions))
            values.append(layer.values[0, :, start:stop].to(device="cpu", dtype=torch.float32).numpy())
        return KVFragment(self._ids[start:stop].copy(), np.stack(keys), np.stack(values))

    @property
    def _head_dim(self) -> int:
        config = self._hf.config.get_text_config(decoder=True)
        return int(getattr(config, "head_dim", None) or self._info.width // self._info.n_heads)

    def _placed(self, array: FloatArray) -> torch.Tensor:
        """float32 [H_kv, n, head_dim] as the cache holds it: [1, H_kv, n, head_dim] in the model's dtype."""
        return torch.from_numpy(np.array(array))[None].to(device=self._hf.device, dtype=self._hf.dtype)

    def _require_whole(self) -> None:
        if self._broken:
            raise ModelError("An earlier step of this session failed half-way.", hint="Start a new session.")

    def _require_room(self, count: int) -> None:
        self._require_whole()
        self._info.check_room(self.length + count)

    def _last(self, ids: torch.Tensor) -> FloatArray:
        """Run int64 [1, n] through the model; the logits after the last token, float32 [V]."""
        last: FloatArray = self._feed(ids, **self._last_only)[-1].copy()
        return last

    def _feed(self, ids: torch.Tensor, **options: Any) -> FloatArray:
        """Run int64 [1, n] through the model; the logits after each token, or after the last ones that `options` tell
        it to keep: float32 [kept, V].
        """
        count = ids.shape[1]
        self._require_room(count)
        # Interrupted between two layers, the cache holds the token in some of them only.
        self._broken = True
        with self._lock, torch.inference_mode():
            ids = ids.to(self._hf.device)
            recorder = self._recorder if self._recorder is not None and self._recorder.is_open else None
            if recorder is not None:
                recorder.begin(ids)
            try:
                output = self._hf(input_ids=ids, past_key_values=self._cache, use_cache=True, **options)
            except BaseException:
                if recorder is not None:
                    recorder.drop()
                raise
            if recorder is not None:
                recorder.end()
            logits: FloatArray = output.logits[0].to(device="cpu", dtype=torch.float32).numpy()
            self._ids = np.concatenate([self._ids, ids[0].cpu().numpy().astype(np.int32)])
        self._broken = False
        return logits
