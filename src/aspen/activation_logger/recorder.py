"""Recording one inference: what the next session of a model feeds, layer by layer and token by token."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from aspen.activation_logger.attention import attention_weights, segment_tokens, summarise_attention
from aspen.activation_logger.digest import cell_digests, states_digest
from aspen.errors import InvalidInput
from aspen.models.interface import LanguageModel, ModelInfo, RawRecording
from aspen.types import AttentionSummary, FloatArray, PooledActivations, Segment, TokenIds


@contextmanager
def record(model: LanguageModel) -> Iterator[Recording]:
    """Record the next session that is started inside the context, whatever code runs it.

    ::

        with record(model) as recording:
            session = model.start_session()
            generation = generate(model, session=session, ...)
        recording.digest

    The recording stays usable after the context; the model is held for this thread while it is open.
    """
    with model.recording() as raw:
        yield Recording(raw, info=model.info)


class Recording:
    """The activations of one inference. Every property raises InvalidInput while nothing has been fed yet.

    May be read while the inference still runs: it then shows the tokens fed so far.
    """

    def __init__(self, raw: RawRecording, *, info: ModelInfo) -> None:
        self._raw = raw
        self._info = info
        self._read: tuple[TokenIds, FloatArray] | None = None

    @property
    def token_ids(self) -> TokenIds:
        """The tokens that were fed, int32 [T]."""
        token_ids = self._raw.token_ids()
        if len(token_ids) == 0:
            raise InvalidInput(
                "Nothing was recorded: no session was fed inside `record(model)`.",
                hint="Start the session with model.start_session() inside the context and prefill it there.",
            )
        return token_ids

    @property
    def hidden_states(self) -> FloatArray:
        """Every layer and token, float32 [L + 1, T, D]; layer 0 is the embedding."""
        token_ids = self.token_ids
        # By tokens, not by their number: a session may have been rewound and have gone on otherwise.
        if self._read is None or not np.array_equal(self._read[0], token_ids):
            self._read = token_ids, self._raw.hidden_states()
        return self._read[1]

    @property
    def digest(self) -> str:
        """SHA-256 of the exact activations, in hex."""
        return states_digest(self.hidden_states)

    @property
    def state_digests(self) -> NDArray[np.uint32]:
        """A short digest per layer and token, uint32 [L + 1, T]."""
        return cell_digests(self.hidden_states)

    def pooled(self, prompt_length: int) -> PooledActivations:
        """Means over the prompt's tokens 1..P-1 and the reply's fed tokens P..T-1, float32 [L + 1, D] each.

        Tokens that did not run (KV fragments) are left out. Summed in float64, in the order of the tokens: the same
        bits wherever the activations are the same.
        """
        states = self.hidden_states
        if not 1 <= prompt_length <= states.shape[1]:
            raise InvalidInput(f"The prompt's length must lie in 1..{states.shape[1]}, got {prompt_length}.")
        ran = self._raw.ran()
        ran[:1] = False  # the attention sink
        return PooledActivations(
            prompt=_mean(np.ascontiguousarray(states[:, :prompt_length][:, ran[:prompt_length]])),
            reply=_mean(states[:, prompt_length:]),
        )

    def attention_summary(self, segments: Sequence[Segment], *, query_start: int) -> AttentionSummary:
        """Where the tokens from `query_start` on looked. `segments` as for `segment_tokens`."""
        length = len(self.token_ids)
        return summarise_attention(
            self._raw.attention_inputs,
            n_layers=self._info.n_layers,
            n_heads=self._info.n_heads,
            segments=segment_tokens(segments, length=length, reply_start=query_start),
            query_start=query_start,
        )

    def attention_matrix(self, layer: int, *, query_start: int = 0) -> FloatArray:
        """All attention weights of block `layer` (0..L-1): float32 [H, T - query_start, T], rows sum to 1."""
        length = len(self.token_ids)
        if not 0 <= layer < self._info.n_layers:
            raise InvalidInput(f"Blocks are numbered 0..{self._info.n_layers - 1}, got {layer}.")
        if not 0 <= query_start <= length:
            raise InvalidInput(f"query_start must lie in 0..{length}, got {query_start}.")
        return attention_weights(self._raw.attention_inputs(layer), query_start=query_start)


def _mean(states: FloatArray) -> FloatArray:
    """Mean over the tokens of [L + 1, n, D]; zeros where there is none."""
    if states.shape[1] == 0:
        return np.zeros((states.shape[0], states.shape[2]), dtype=np.float32)
    means: FloatArray = states.mean(axis=1, dtype=np.float64).astype(np.float32)
    return means
