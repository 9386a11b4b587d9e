"""Running a recorded inference beside an edited one, and where the two part: by token, and by layer and token."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from aspen.activation_logger.digest import states_digest
from aspen.activation_logger.recorder import Recording, record
from aspen.errors import InvalidInput
from aspen.models.feeding import feed
from aspen.models.generation import sample_reply
from aspen.models.interface import LanguageModel, Session
from aspen.models.kv import KVFragment
from aspen.seed_manager.edits import EditedRun, recorded_run
from aspen.types import FloatArray, SamplerSettings, TokenIds, Trace

Prepare = Callable[[Session, Recording], tuple[TokenIds, FloatArray]]
"""Brings a prompt into an empty session, which is being recorded: its tokens, int32 [P], and the logits after the last
one, float32 [V].
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One of the two runs. `texts` has what each token adds, those of the prompt first, then those of the reply."""

    token_ids: TokenIds
    prompt_length: int
    texts: tuple[str, ...]
    reply: str
    seed: int
    sampler: SamplerSettings
    finish_reason: str
    states: FloatArray = field(repr=False)

    def data(self) -> dict[str, Any]:
        """What a person is told of it, as plain data for JSON."""
        return {
            "seed": self.seed,
            "sampler": asdict(self.sampler),
            "reply": self.reply,
            "prompt_tokens": self.prompt_length,
            "finish_reason": self.finish_reason,
        }

    @property
    def prompt_ids(self) -> TokenIds:
        """int32 [P]"""
        return self.token_ids[: self.prompt_length]


@dataclass(frozen=True, slots=True)
class TokenPair:
    """A token side by side: its positions and texts in both runs, None where a run has nothing there.

    `same` where both have the same token.
    """

    before: int | None
    before_text: str | None
    after: int | None
    after_text: str | None
    same: bool
    in_prompt: bool


@dataclass(frozen=True, slots=True, eq=False)
class Divergence:
    """How far the residual streams of shared tokens are apart, from the first token that differs on.

    distances: float32 [L + 1, S], |after - before| / |before| (Euclidean norms) by layer and shared token, 0 is the
        embedding. An unfed last token, and tokens of KV fragments, which never ran, have none.
    before, after: int32 [S], the positions of these tokens in the two runs; texts: what they say.
    rounding: the largest such distance before the first token that differs: what other batch shapes alone do.
    """

    distances: FloatArray
    before: TokenIds
    after: TokenIds
    texts: tuple[str, ...]
    rounding: float

    @property
    def by_layer(self) -> FloatArray:
        """Mean over the tokens, float32 [L + 1]; zeros where no token is shared."""
        if self.distances.shape[1] == 0:
            return np.zeros(len(self.distances), dtype=np.float32)
        means: FloatArray = self.distances.mean(axis=1)
        return means

    @property
    def strongest(self) -> tuple[int, int] | None:
        """Layer and place in `texts` of the largest distance; None where no token is shared."""
        if self.distances.size == 0:
            return None
        layer, place = np.unravel_index(int(np.argmax(self.distances)), self.distances.shape)
        return int(layer), int(place)


@dataclass(frozen=True, slots=True)
class Difference:
    """What an edit changed. Nothing of it is stored.

    `faithful` says whether the recorded inference itself came out again bit for bit, so that all that differs comes
    from the edit. `first` is the place in `tokens` of the first pair that differs, None where none does.
    """

    trace_id: str
    changed: tuple[str, ...]
    faithful: bool
    before: Run
    after: Run
    tokens: tuple[TokenPair, ...]
    first: int | None
    divergence: Divergence

    def explain(self) -> str:
        """The finding in a sentence or two."""
        what = ", ".join(self.changed)
        if self.first is None:
            return f"{what}: the same tokens came out."
        pair = self.tokens[self.first]
        part = "prompt" if pair.in_prompt else "reply"
        was, now = _shown(pair.before_text), _shown(pair.after_text)
        replies = "the reply stays the same" if self.before.reply == self.after.reply else "the reply differs"
        found = f"{what}: {replies}; the first token that differs is in the {part}, {was} -> {now}."
        place = self.divergence.strongest
        if place is None:
            return f"{found} No token behind it is shared."
        layer, token = place
        return (
            f"{found} Of {len(self.divergence.texts)} shared tokens behind it, activations differ most at "
            f"{self.divergence.texts[token]!r}, layer {layer}: by {self.divergence.distances[place]:.0%} of their "
            "length."
        )

    def data(self) -> dict[str, Any]:
        """All of it as plain data for JSON, without the activations themselves."""
        found = self.divergence
        return {
            "trace_id": self.trace_id,
            "changed": list(self.changed),
            "faithful": self.faithful,
            "explanation": self.explain(),
            "before": self.before.data(),
            "after": self.after.data(),
            "tokens": [asdict(pair) for pair in self.tokens],
            "first": self.first,
            "divergence": {
                "before": found.before.tolist(),
                "after": found.after.tolist(),
                "texts": list(found.texts),
                "by_layer": found.by_layer.tolist(),
                "rounding": found.rounding,
                "distances": found.distances.tolist(),
            },
        }


def compare_runs(
    model: LanguageModel,
    trace: Trace,
    edited: EditedRun,
    *,
    fragments: Mapping[str, KVFragment] | None = None,
    prepare: Prepare | None = None,
) -> Difference:
    """Run the inference of `trace` and the edited one, and say where they part.

    Parameters
    ----------
    fragments:
        KV fragments that the passes name, by digest.
    prepare:
        Brings the edited prompt into the session in place of `edited.prompt_ids` and its passes.
    """
    known = fragments or {}
    before = _run(model, recorded_run(trace), prepare=_feeding(recorded_run(trace), known))
    faithful = (
        np.array_equal(before.token_ids, trace.token_ids) and states_digest(before.states) == trace.digest
    )
    after = _run(model, edited, prepare=prepare or _feeding(edited, known))
    tokens = _aligned(before, after)
    first = next((place for place, pair in enumerate(tokens) if not pair.same), None)
    return Difference(
        trace_id=trace.id,
        changed=edited.changed,
        faithful=faithful,
        before=before,
        after=after,
        tokens=tokens,
        first=first,
        divergence=_divergence(before, after, tokens, first=first),
    )


def _feeding(run: EditedRun, fragments: Mapping[str, KVFragment]) -> Prepare:
    def prepare(session: Session, recording: Recording) -> tuple[TokenIds, FloatArray]:
        return run.prompt_ids, feed(session, run.prompt_ids, passes=run.passes, fragments=fragments)

    return prepare


def _run(model: LanguageModel, run: EditedRun, *, prepare: Prepare) -> Run:
    vocabulary = model.info.vocab_size
    if not all(0 <= token < vocabulary for token in run.prompt_ids.tolist()):
        raise InvalidInput(
            f"The trace's prompt has tokens outside this model's vocabulary of {vocabulary}.",
            hint="Replay it with the model that recorded it.",
        )
    with record(model) as recording:
        session = model.start_session()
        prompt_ids, logits = prepare(session, recording)
        generation = sample_reply(
            model,
            session=session,
            prompt_ids=prompt_ids,
            logits=logits,
            settings=run.sampler,
            seed=run.seed,
            max_tokens=run.max_tokens,
        )
    token_ids = np.concatenate([prompt_ids, generation.token_ids]).astype(np.int32)
    return Run(
        token_ids=token_ids,
        prompt_length=len(prompt_ids),
        texts=tuple(
            model.detokenize(token_ids[i : i + 1], skip_special=False) for i in range(len(token_ids))
        ),
        reply=generation.text,
        seed=run.seed,
        sampler=run.sampler,
        finish_reason=generation.finish_reason,
        states=recording.hidden_states,
    )


def _aligned(before: Run, after: Run) -> tuple[TokenPair, ...]:
    """Both prompts beside each other, then both replies, by their longest common runs (Ratcliff and Obershelp 1988)."""
    lengths = before.prompt_length, after.prompt_length
    return tuple(
        TokenPair(
            before=left,
            before_text=None if left is None else before.texts[left],
            after=right,
            after_text=None if right is None else after.texts[right],
            same=same,
            in_prompt=in_prompt,
        )
        for left, right, same, in_prompt in _side_by_side(
            before.token_ids, after.token_ids, prompt_lengths=lengths
        )
    )


def shared_tokens(
    before: TokenIds, after: TokenIds, *, prompt_lengths: tuple[int, int]
) -> tuple[TokenIds, TokenIds]:
    """Where two sequences have the same tokens in the same order: their positions in each, int32 [S].

    Prompts are held against prompts and replies against replies, by their longest common runs.
    """
    pairs = [
        (left, right)
        for left, right, same, _ in _side_by_side(before, after, prompt_lengths=prompt_lengths)
        if same and left is not None and right is not None
    ]
    places = np.array(pairs, dtype=np.int32).reshape(-1, 2)
    return places[:, 0], places[:, 1]


def _side_by_side(
    before: TokenIds, after: TokenIds, *, prompt_lengths: tuple[int, int]
) -> Iterator[tuple[int | None, int | None, bool, bool]]:
    """Positions of tokens beside each other, whether they are the same, and whether they are of the prompts."""
    lengths = prompt_lengths
    for in_prompt, old, new in (
        (True, range(lengths[0]), range(lengths[1])),
        (False, range(lengths[0], len(before)), range(lengths[1], len(after))),
    ):
        matcher = SequenceMatcher(
            a=before[old.start : old.stop].tolist(), b=after[new.start : new.stop].tolist(), autojunk=False
        )
        for kind, i, i_end, j, j_end in matcher.get_opcodes():
            for step in range(max(i_end - i, j_end - j)):
                left = old[i + step] if i + step < i_end else None
                right = new[j + step] if j + step < j_end else None
                yield left, right, kind == "equal", in_prompt


def _divergence(before: Run, after: Run, tokens: tuple[TokenPair, ...], *, first: int | None) -> Divergence:
    ends = before.states.shape[1], after.states.shape[1]
    fed = [
        (place, pair.before, pair.after)
        for place, pair in enumerate(tokens)
        if pair.same
        and pair.before is not None
        and pair.after is not None
        and pair.before < ends[0]
        and pair.after < ends[1]
        and before.states[:, pair.before].any()  # what came as a KV fragment never ran
        and after.states[:, pair.after].any()
    ]
    split = len(tokens) if first is None else first
    earlier = [one for one in fed if one[0] < split]
    later = [one for one in fed if one[0] >= split]
    old, new = (np.array([one[side] for one in later], dtype=np.int32) for side in (1, 2))
    apart = _distances(before.states, after.states, [one[1:] for one in earlier])
    return Divergence(
        distances=_distances(before.states, after.states, [one[1:] for one in later]),
        before=old,
        after=new,
        texts=tuple(before.texts[position] for position in old),
        rounding=float(apart.max(initial=0.0)),
    )


def _distances(before: FloatArray, after: FloatArray, pairs: list[tuple[int, int]]) -> FloatArray:
    """|after - before| / |before| of float32 [L + 1, T, D] at these positions: float32 [L + 1, S]."""
    found = np.empty((len(before), len(pairs)), dtype=np.float32)
    for place, (old, new) in enumerate(pairs):  # one token at a time: whole copies would take hundreds of MB
        was, now = before[:, old].astype(np.float64), after[:, new].astype(np.float64)
        length = np.linalg.norm(was, axis=-1)
        found[:, place] = np.linalg.norm(now - was, axis=-1) / np.maximum(length, np.finfo(np.float32).tiny)
    return found


def _shown(text: str | None) -> str:
    return "nothing" if text is None else repr(text)
