"""What Aspen asks of a runtime that runs a language model. Arrays in, arrays out.

No tensor type crosses this line. Layers are counted as in the field: layer 0 is the embedding, layer k the
residual stream after block k, before the final norm. A model with L blocks therefore has layers 0..L.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aspen.errors import InvalidInput, PromptTooLong
from aspen.models.heads import Captured, HeadAttention, HeadRef
from aspen.models.kv import KVFragment
from aspen.types import Fingerprint, FloatArray, Message, Segment, TokenIds


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Shape of a decoder-only language model."""

    name: str
    architecture: str
    n_layers: int
    width: int
    n_heads: int
    n_kv_heads: int
    vocab_size: int
    context_length: int
    stop_ids: frozenset[int]

    def key_head(self, ref: HeadRef) -> HeadRef:
        """The key head that a query head reads; `head` then counts key heads."""
        return HeadRef(ref.block, ref.head // (self.n_heads // self.n_kv_heads))

    def key_heads(self, heads: Iterable[HeadRef]) -> tuple[HeadRef, ...]:
        """The key heads that query heads read, each once, in order of first use."""
        return tuple(dict.fromkeys(self.key_head(ref) for ref in heads))

    def check_token_ids(self, token_ids: TokenIds) -> None:
        """Raise InvalidInput unless `token_ids` is a non-empty int array [T] of ids that the model has."""
        if token_ids.ndim != 1 or len(token_ids) == 0 or token_ids.dtype.kind not in "iu":
            raise InvalidInput(
                f"Token ids are a non-empty array of integers [T], not {token_ids.dtype} {list(token_ids.shape)}."
            )
        lowest, highest = int(token_ids.min()), int(token_ids.max())
        if lowest < 0 or highest >= self.vocab_size:
            raise InvalidInput(
                f"Token ids must lie in 0..{self.vocab_size - 1}; these range from {lowest} to {highest}.",
                hint="They were made by another model's tokenizer.",
            )

    def check_batch(self, batch: Iterable[TokenIds], *, layers: Sequence[int]) -> None:
        """Raise InvalidInput on no layers, one that there is not or a wrong sequence, PromptTooLong on one too long."""
        if not layers:
            raise InvalidInput("No layers were asked for.")
        for layer in layers:
            if not 0 <= layer <= self.n_layers:
                raise InvalidInput(f"Layers are 0 to {self.n_layers}, not {layer}.", layer=layer)
        for token_ids in batch:
            self.check_token_ids(token_ids)
            if len(token_ids) > self.context_length:
                raise PromptTooLong(
                    f"{len(token_ids)} tokens exceed the context of {self.context_length}.",
                    hint="Cut it into parts.",
                    tokens=len(token_ids),
                    context_length=self.context_length,
                )

    def check_room(self, length: int) -> None:
        """Raise PromptTooLong where a sequence of `length` tokens does not fit the context."""
        if length > self.context_length:
            raise PromptTooLong(
                f"{length} tokens do not fit a context of {self.context_length}.",
                hint="Shorten the prompt, or take a model with a longer context.",
                tokens=length,
                context_length=self.context_length,
            )

    def check_fragment(self, fragment: KVFragment, *, head_dim: int) -> None:
        """Raise InvalidInput where a fragment is of a model of another shape."""
        self.check_token_ids(fragment.token_ids)
        layers, heads, _, width = fragment.keys.shape
        if (layers, heads, width) != (self.n_layers, self.n_kv_heads, head_dim):
            raise InvalidInput(
                f"The fragment is of {layers} blocks with {heads} heads of {width}; this model has "
                f"{self.n_layers} blocks with {self.n_kv_heads} heads of {head_dim}.",
                hint="It was made by another model.",
            )

    def check_states(self, states: FloatArray) -> None:
        """Raise InvalidInput unless `states` are residual streams [n, D] of the model's width."""
        if states.ndim != 2 or states.shape[1] != self.width:
            raise InvalidInput(
                f"Residual streams are [n, {self.width}], got {list(states.shape)}.",
                hint="They were recorded with another model.",
            )

    def check_heads(self, heads: Iterable[HeadRef]) -> None:
        """Raise InvalidInput where the model has no such head."""
        for ref in heads:
            if not (0 <= ref.block < self.n_layers and 0 <= ref.head < self.n_heads):
                raise InvalidInput(
                    f"Blocks are 0 to {self.n_layers - 1} and heads 0 to {self.n_heads - 1}, "
                    f"not block {ref.block}, head {ref.head}."
                )


@dataclass(frozen=True, slots=True)
class ChatPrompt:
    """A rendered conversation. `spans[i]` are the tokens of the i-th message's content, named by its role.

    Tokens of the template are left out; a token that holds characters of both counts as content.
    """

    text: str
    token_ids: TokenIds
    spans: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class AttentionInputs:
    """Queries and keys of one layer as they entered attention, after rotary embedding where there is one.

    queries: float32 [H, T, head_dim]; keys: float32 [H_kv, T, head_dim], of all T recorded tokens; query
    head h reads key head h // (H / H_kv). Scores are `softcap(scale * q.k)` over the keys at positions <= the
    query's, and, with a sliding `window`, > position - window. `softcap` c means c * tanh(x / c).
    """

    queries: FloatArray
    keys: FloatArray
    scale: float
    softcap: float | None = None
    window: int | None = None


class RawRecording(Protocol):
    """What a runtime kept while it was recording: one sequence, from its first token on.

    It can still be read when the recording is closed. Raises InvalidInput where nothing was fed.
    """

    def token_ids(self) -> TokenIds:
        """The tokens that were fed, shape [T]."""

    def ran(self) -> NDArray[np.bool_]:
        """Which of the tokens ran through the model, shape [T]: those of KV fragments did not."""

    def rewinds(self) -> int:
        """How often the session was rewound: what was read before that may not hold any more."""

    def hidden_states(self) -> FloatArray:
        """Every layer and token, float32 [L + 1, T, D]; zeros for tokens that did not run."""

    def attention_inputs(self, layer: int) -> AttentionInputs:
        """Queries and keys of block `layer` (0-based, 0..L-1).

        Raises ModelError where the architecture's attention cannot be described by `AttentionInputs`.
        """


class Session(Protocol):
    """One sequence in the making: a KV cache and a position in it. Not to be shared between threads."""

    @property
    def length(self) -> int:
        """Tokens in the cache."""

    def prefill(self, token_ids: TokenIds) -> FloatArray:
        """Feed several tokens at once; the logits after the last one, float32 [V]."""

    def decode(self, token_id: int) -> FloatArray:
        """Feed one token; the logits after it, float32 [V]."""

    def prefill_each(self, token_ids: TokenIds) -> FloatArray:
        """As `prefill`, but the logits after each of the n tokens, float32 [n, V]: megabytes where there are many."""

    def rewind(self, length: int) -> None:
        """Forget the tokens from `length` on, in the cache and in a recording, as if they had never been fed.

        InvalidInput unless 0 <= length <= self.length; ModelError where the cache has let go of what came before, and
        the session can be used no more. To 0 always works.
        """

    def put(self, fragment: KVFragment) -> None:
        """Place the tokens of a fragment behind those in the cache without running them; its keys are turned to
        where they land. The fragment stays as it is. Raises ModelError where `fragments_refused` gives a reason,
        InvalidInput on a fragment of another shape, PromptTooLong where the context would overflow.
        """

    def fragment(self, start: int, stop: int) -> KVFragment:
        """What the tokens `start` to `stop` (exclusive) left in the cache. Raises ModelError as `put` does."""


class LanguageModel(Protocol):
    """A decoder-only language model. Calls from several threads are taken one after the other."""

    @property
    def info(self) -> ModelInfo:
        """Shape and names."""

    @property
    def fingerprint(self) -> Fingerprint:
        """What a replay must find again. The first call may take seconds: it hashes the weights."""

    def tokenize(self, text: str) -> TokenIds:
        """Token ids of plain text: no special token is added, and none can be formed by the text."""

    def detokenize(self, token_ids: TokenIds, *, skip_special: bool = True) -> str:
        """Text of token ids; incomplete UTF-8 at either end becomes U+FFFD."""

    def vocabulary(self) -> Sequence[bytes]:
        """What each token adds to a text, in bytes, in order of id; as many as `info.vocab_size`.

        A token may hold part of a character. b"" for tokens that text never holds (control tokens, unused ids).
        Raises ModelError where the runtime cannot tell.
        """

    def apply_chat_template(self, messages: Sequence[Message]) -> ChatPrompt:
        """Render messages with the model's own template, ready for the assistant to answer.

        Text inside a message can never form one of the template's special tokens.
        Raises NoChatTemplate where the model brings none, ModelError where the template refuses the messages.
        """

    def capture(self, batch: Sequence[TokenIds], *, layers: Sequence[int]) -> list[FloatArray]:
        """Partial forward pass: run the blocks up to `max(layers)` and no further, for independent sequences.

        Returns, for each sequence of T tokens, float32 [len(layers), T, D], in the order of `layers`.
        """

    def capture_with_heads(
        self, batch: Sequence[TokenIds], *, layers: Sequence[int], heads: Sequence[HeadRef]
    ) -> list[Captured]:
        """`capture`, and out of the same pass queries and keys of `heads`, before rotary embedding.

        Runs the blocks up to the deepest layer or head's block and no further: head 3 of block 15 needs what layer
        15 does. Raises ModelError where this runtime cannot tell the heads of the architecture apart.
        """

    def head_attention(self, block: int) -> HeadAttention:
        """How queries and keys of block `block` (0-based) meet, checked against the model's own attention.

        The first call runs a short text through the whole model. Raises ModelError where queries and keys that
        `capture_with_heads` gives cannot be turned into those that enter attention.
        """

    def unembed(self, states: FloatArray) -> FloatArray:
        """Final norm and unembedding of residual streams float32 [n, D]: logits float32 [n, V].

        Of the last layer they are the model's own, but for rounding. The first call may run a short text through the
        model. Raises ModelError where this runtime cannot tell how the architecture does it.
        """

    def start_session(self) -> Session:
        """A new, empty sequence."""

    def fragments_refused(self) -> str | None:
        """Why keys and values of this model cannot be moved to another place, in words; None where they can.

        The first call may run a short text through the model.
        """

    def recording(self) -> AbstractContextManager[RawRecording]:
        """Record the first session started while the context is open.

        Until then only this thread can start sessions. What other threads `capture` takes turns with its passes.
        """
