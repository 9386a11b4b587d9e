"""What a strategy gets and gives: the situation of one reply, and a prompt that stands in the session."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol, runtime_checkable

from aspen.activation_logger import Recording
from aspen.memory_injector.framing import Note
from aspen.models import LanguageModel, Session
from aspen.types import (
    FloatArray,
    Injection,
    Memory,
    Pass,
    Recall,
    SamplerSettings,
    Segment,
    TokenIds,
    Trace,
)


class StrategyName(StrEnum):
    """The ways to feed memories back."""

    NOTE = "note"  # a few dated lines
    SCAFFOLD = "scaffold"  # what was done the last time, and how it ended
    TWO_PASS = "two_pass"  # noqa: S105 - no password: a run without memories, and one with them where needed
    REFLECTION = "reflection"  # memories rewritten for this message, each sentence held to its source
    SEED_REPLAY = "seed_replay"  # an old inference, run again, from which the conversation goes on
    SUMMARY = "summary"  # patterns that recur in what was said
    KV = "kv"  # the lines of the note, put into the cache as stored keys and values
    AUTO = "auto"  # one of these, by cost and familiarity


class RecallFor(Protocol):
    """Recalls for a reply: what the model said itself and what stands in the prompt already are left out."""

    def __call__(self, prompt: str, *, tags: Collection[str] | None = None) -> Recall:
        """What resonates with `prompt`, of memories with one of `tags` where they are given."""


@dataclass(frozen=True, slots=True)
class TraceMemories:
    """The memories whose text stands in a trace, by id and by seq, and whether one of them was corrected since."""

    ids: tuple[str, ...]
    seqs: tuple[int, ...]
    corrected: bool


class FragmentShelf(Protocol):
    """Where encoded KV fragments of memories are kept, by memory (seq) and name."""

    def fragments(self, places: Collection[tuple[int, str]]) -> dict[tuple[int, str], bytes]:
        """Those of `places` that are there."""

    def keep_fragments(self, fragments: Mapping[tuple[int, str], bytes]) -> None:
        """Keep them where the store can be written and belongs to this model; otherwise nothing is kept."""


@dataclass(frozen=True)
class Situation:
    """All that a strategy may look at and use for one reply.

    session: empty, and recorded by `recording`, where there is one: where the turn is remembered, and for strategies
    that read it. history: the last memories of the conversation, oldest first. reserve: tokens to keep free for the
    reply. budget: most tokens that memories may take, >= 0. seed, sampler: of the reply. The others ask the store:
    recall; trace, trace_memories, which raise NotFound; examples: the ids of what a pattern was made of; fragments:
    keeps what the strategy kv puts, which checks one reply in `kv_check` against the text, 0 for none; around: turns
    of a conversation in which a memory stands, up to two before and two after it, in order, with it; a turn that was
    corrected ends them; unknown_familiarity: how familiar the store finds questions that it cannot answer, in [0, 1],
    given how many memories it has; None while they are too few to tell.
    """

    model: LanguageModel
    session: Session
    recording: Recording | None
    message: str
    system: str | None
    history: Sequence[Memory]
    reserve: int
    budget: int
    seed: int
    sampler: SamplerSettings
    recall: RecallFor
    trace: Callable[[str], Trace]
    trace_memories: Callable[[str], TraceMemories]
    examples: Callable[[Memory], Sequence[str]]
    fragments: FragmentShelf
    kv_check: int
    around: Callable[[Memory], Sequence[Memory]]
    unknown_familiarity: Callable[[int], float | None]

    def count_tokens(self, text: str) -> int:
        """Tokens of plain text."""
        return len(self.model.tokenize(text))


@dataclass(frozen=True)
class Prepared:
    """A prompt that stands in the session, ready for the reply.

    text, token_ids, segments: the prompt, and its named parts for a trace; logits: float32 [V], after its last token;
    passes: how it came there; dropped: older messages left out; seconds: from the first token to the logits.
    """

    text: str
    token_ids: TokenIds
    segments: tuple[Segment, ...]
    logits: FloatArray
    passes: tuple[Pass, ...]
    note: Note | None
    dropped: int
    injection: Injection | None
    seconds: float


@runtime_checkable
class Strategy(Protocol):
    """A way to feed memories back. One instance serves many replies, also at once."""

    def prepare(self, situation: Situation) -> Prepared:
        """Bring the prompt of a reply into the session, and with it what memories have to say.

        PromptTooLong where the message leaves no room for a reply even without memories.
        """


@runtime_checkable
class ReadsRecording(Strategy, Protocol):
    """A strategy that compares activations: its session is recorded also where the turn is not remembered."""

    reads_recording: Literal[True]
