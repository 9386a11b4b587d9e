"""`TransformersModel`: the language model interface over a transformers model and its tokenizer."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from aspen.errors import ModelError
from aspen.models._transformers.fragments import rotaries_of
from aspen.models._transformers.heads import attention_of
from aspen.models._transformers.partial import capture, find_blocks
from aspen.models._transformers.recording import Recorder
from aspen.models._transformers.session import TransformersSession
from aspen.models._transformers.text import TransformersTokenizer
from aspen.models._transformers.unembedding import Unembedding, find_unembedding
from aspen.models.heads import Captured, HeadAttention, HeadRef, Rotary
from aspen.models.interface import ModelInfo
from aspen.models.runtime_model import RuntimeModel
from aspen.models.text import TextCodec
from aspen.types import Fingerprint, FloatArray, TokenIds

#: Taken where neither the config nor the tokenizer names a limit, tokens.
_DEFAULT_CONTEXT = 2048
#: Enough for rotary embedding to show: token 0 is not rotated.
_PROBE_TOKENS = 8
_LIBRARIES = ("numpy", "tokenizers", "torch", "transformers")


class TransformersModel(RuntimeModel):
    """Implements `LanguageModel`. Sequences of a batch run padded, which may change the last bits of their numbers.

    Parameters
    ----------
    hf:
        A causal language model, in evaluation mode, on its device. Hooks are set on it while it records.
    tokenizer:
        Its transformers tokenizer.
    name:
        What `info.name` says.
    weights_hash:
        Computes the SHA-256 that stands for the weights; called once, when `fingerprint` is first asked for.
    quantisation:
        What the weights went through before they were loaded, such as "Q4_1"; "none" for nothing.
    """

    def __init__(
        self,
        hf: PreTrainedModel,
        *,
        tokenizer: Any,
        name: str,
        weights_hash: Callable[[], str],
        quantisation: str = "none",
    ) -> None:
        text = TextCodec(TransformersTokenizer(tokenizer))
        info = _describe(hf, tokenizer=tokenizer, text=text, name=name)
        super().__init__(info, text=text, weights_hash=weights_hash)
        self._hf = hf.eval()
        self._quantisation = quantisation
        self._attention = str(hf.config._attn_implementation)
        self._blocks = find_blocks(hf, count=info.n_layers)
        self._recorder: Recorder | None = None
        self._recorder_taken = False

    @property
    def fingerprint(self) -> Fingerprint:
        """See `Fingerprint`. The weights are hashed at the first call; the thread count is today's."""
        weights, tokenizer, template = self._hashes
        return Fingerprint(
            runtime="transformers",
            architecture=self._info.architecture,
            weights=weights,
            tokenizer=tokenizer,
            chat_template=template,
            dtype=str(self._hf.dtype).removeprefix("torch."),
            quantisation=self._quantisation,
            attention=self._attention,
            device=_device_name(self._hf.device),
            threads=torch.get_num_threads(),
            libraries={library: version(library) for library in _LIBRARIES},
        )

    def capture_with_heads(
        self, batch: Sequence[TokenIds], *, layers: Sequence[int], heads: Sequence[HeadRef]
    ) -> list[Captured]:
        """See `LanguageModel.capture_with_heads`; raises as `capture` does, and InvalidInput on an unknown head."""
        self._info.check_batch(batch, layers=layers)
        self._info.check_heads(heads)
        with self._lock:
            return capture(self._hf, batch, layers=layers, heads=heads, blocks=self._blocks, info=self._info)

    def head_attention(self, block: int) -> HeadAttention:
        """See `LanguageModel.head_attention`."""
        self._info.check_heads([HeadRef(block, 0)])
        recording, states = self._attention_probe
        return attention_of(
            self._hf,
            recording,
            block,
            block=self._blocks[block],
            hidden=states[block],
            info=self._info,
        )

    def start_session(self) -> TransformersSession:
        """A new, empty sequence; the first one inside `recording()` is the one recorded."""
        with self._turn:
            recorder = None if self._recorder_taken else self._recorder
            self._recorder_taken = self._recorder is not None
            return TransformersSession(
                self._hf,
                info=self._info,
                lock=self._lock,
                recorder=recorder,
                rotaries=lambda: self._rotaries,
            )

    def unembed(self, states: FloatArray) -> FloatArray:
        """float32 [n, V] from float32 [n, D]; see `LanguageModel.unembed`."""
        self._info.check_states(states)
        unembedding = self._unembedding
        with self._lock, torch.inference_mode():
            given = torch.from_numpy(np.ascontiguousarray(states, dtype=np.float32))
            logits = unembedding(given.to(device=self._hf.device, dtype=self._hf.dtype))
            found: FloatArray = logits.to(device="cpu", dtype=torch.float32).numpy()
        return found

    @contextlib.contextmanager
    def recording(self) -> Iterator[Recorder]:
        """See `LanguageModel.recording`. The recording can still be read when the context is closed."""
        with self._turn:
            if self._recorder is not None:
                raise ModelError("This model is recording already.", hint="Close the outer recording first.")
            recorder = Recorder(self._hf, blocks=self._blocks)
            self._recorder, self._recorder_taken = recorder, False
            try:
                with self._lock:
                    recorder.open()
                yield recorder
            finally:
                with self._lock:
                    recorder.close()
                self._recorder = None

    @cached_property
    def _rotaries(self) -> tuple[Rotary, ...]:
        return rotaries_of(self._hf, n_layers=self._info.n_layers, attention_of=self.head_attention)

    @cached_property
    def _unembedding(self) -> Unembedding:
        ids = torch.arange(_PROBE_TOKENS, device=self._hf.device)[None] % self._info.vocab_size
        with self._recording_paused(), torch.inference_mode():
            return find_unembedding(self._hf, blocks=self._blocks, probe=ids)

    @cached_property
    def _attention_probe(self) -> tuple[Recorder, FloatArray]:
        """A recording of a few tokens, and its hidden states [L + 1, T, D]."""
        ids = np.arange(_PROBE_TOKENS, dtype=np.int32) % self._info.vocab_size
        with self._recording_paused(), self.recording() as recording:
            self.start_session().prefill(ids)
        return recording, recording.hidden_states()

    @contextlib.contextmanager
    def _recording_paused(self) -> Iterator[None]:
        """Take the hooks of an open recording away for a while: what the probe runs is none of it."""
        with self._turn:
            outer, taken = self._recorder, self._recorder_taken
            if outer is not None:
                with self._lock:
                    outer.close()
            self._recorder = None
            try:
                yield
            finally:
                self._recorder, self._recorder_taken = outer, taken
                if outer is not None:
                    with self._lock:
                        outer.open()


def _describe(hf: PreTrainedModel, *, tokenizer: Any, text: TextCodec, name: str) -> ModelInfo:
    config = hf.config.get_text_config(decoder=True)
    for needed in ("num_attention_heads", "num_hidden_layers", "hidden_size", "vocab_size"):
        if not isinstance(getattr(config, needed, None), int):
            raise ModelError(
                f"The config of {type(hf).__name__} has no single {needed}: it is not a uniform transformer.",
                hint="Take a model such as Llama, Qwen, Mistral, Gemma or SmolLM.",
            )
    heads = int(config.num_attention_heads)
    return ModelInfo(
        name=name,
        architecture=type(hf).__name__,
        n_layers=int(config.num_hidden_layers),
        width=int(config.hidden_size),
        n_heads=heads,
        n_kv_heads=int(getattr(config, "num_key_value_heads", None) or heads),
        vocab_size=int(config.vocab_size),
        context_length=_context_length(config, tokenizer=tokenizer),
        stop_ids=_stop_ids(hf, tokenizer=tokenizer) | text.end_of_turn_ids(),
    )


def _context_length(config: Any, *, tokenizer: Any) -> int:
    """Tokens the model was made for."""
    limit = getattr(config, "max_position_embeddings", None)
    if limit is None and tokenizer.model_max_length < 10**9:  # a huge number stands for "unknown" there
        limit = tokenizer.model_max_length
    return int(limit or _DEFAULT_CONTEXT)


def _stop_ids(hf: PreTrainedModel, *, tokenizer: Any) -> frozenset[int]:
    found: set[int] = set()
    generation = hf.generation_config
    for ids in (generation.eos_token_id if generation is not None else None, tokenizer.eos_token_id):
        if ids is not None:
            found.update([ids] if isinstance(ids, int) else ids)
    return frozenset(found)


def _device_name(device: torch.device) -> str:
    """Device with the hardware that decides the kernels: the same weights round otherwise on another."""
    if device.type == "cuda":
        return f"cuda {torch.cuda.get_device_name(device)}"
    if device.type == "cpu":
        return f"cpu {platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    return str(device.type)
