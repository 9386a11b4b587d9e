"""KV fragments of the lines of a note: made behind a fixed prefix, named, read, and found again for a replay."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from aspen.activation_db import FragmentLevel, FragmentOrigin, decode_fragment, encode_fragment
from aspen.errors import FragmentError, FragmentMismatch, NotFound
from aspen.memory_injector.framing import Note, framed
from aspen.memory_injector.interface import FragmentShelf
from aspen.memory_injector.prompt import compose_prompt, shared_length
from aspen.models import KVFragment, LanguageModel
from aspen.types import TokenIds, Trace

_PROBE = "-"
"""Stands for a line: all lines begin with it, and the closing of a note does not."""


@dataclass(frozen=True)
class FragmentMaker:
    """Makes fragments with a model, and reads those it made.

    prefix_ids: the tokens of a prompt up to a note's first line, where there is no system prompt of one's own. Every
    fragment is made behind them, and they are dropped: so a line has seen how a note begins, and the first token of
    all, on which attention rests that finds nothing better (the attention sink, Xiao et al. 2024). It has seen nothing
    of the prompt that it is put into: one fragment serves all, and a note of one line without a system prompt is exact
    but for rounding. What other prefixes do: docs/benchmarks/kv.md.
    """

    model: LanguageModel
    prefix_ids: TokenIds
    level: FragmentLevel = FragmentLevel.INT8

    @classmethod
    def of(cls, model: LanguageModel, *, level: FragmentLevel = FragmentLevel.INT8) -> Self:
        """That of a model. NoChatTemplate where it brings none."""
        bare, probed = (_conversation(model, lines, system=None) for lines in ([], [_PROBE]))
        return cls(model, bare[: shared_length(bare, probed)], level)

    @cached_property
    def origin(self) -> FragmentOrigin:
        """What its fragments say of themselves."""
        prefix = hashlib.sha256(self.prefix_ids.astype(np.int32).tobytes()).hexdigest()
        return FragmentOrigin.of(self.model.fingerprint, prefix=prefix)

    def name(self, token_ids: TokenIds) -> str:
        """The name that the fragment of these tokens, int32 [n], is kept by."""
        made_of = hashlib.sha256(repr((self.origin, self.level.value)).encode())
        made_of.update(token_ids.astype(np.int32).tobytes())
        return f"{self.level.value}-{made_of.hexdigest()[:32]}"

    def make(self, pieces: Sequence[TokenIds]) -> list[bytes]:
        """Encoded fragments of several texts, int32 [n] each, none of which has seen another one."""
        session = self.model.start_session()
        session.prefill(self.prefix_ids)
        start, made = session.length, []
        for token_ids in pieces:
            session.prefill(token_ids)
            fragment = session.fragment(start, session.length)
            made.append(encode_fragment(fragment, origin=self.origin, level=self.level))
            session.rewind(start)
        return made

    def read(self, data: bytes, *, token_ids: TokenIds) -> KVFragment:
        """The fragment of these tokens. FragmentError where the bytes are not one of this maker's."""
        fragment = decode_fragment(data, origin=self.origin)
        if not np.array_equal(fragment.token_ids, token_ids):
            raise FragmentMismatch(
                f"The KV fragment is of {len(fragment.token_ids)} other tokens than the {len(token_ids)} asked for.",
                hint="The text of its memory makes it again.",
            )
        return fragment


def cut_lines(
    model: LanguageModel, token_ids: TokenIds, *, lines: Sequence[str], system: str | None
) -> list[int]:
    """Where each line of a note begins in a prompt, int32 [T], that holds it, and where the last one ends.

    The prompt is cut, not put together from pieces: so it stays token for token what it is as text. Empty where
    the tokenizer joins lines, so that there is no place to cut.
    """
    shorter = [_conversation(model, lines[:count], system=system) for count in range(len(lines))]
    longer = _conversation(model, [*lines, _PROBE], system=system)
    cuts = [shared_length(token_ids, other) for other in (*shorter, longer)]
    return (
        cuts
        if all(one < other for one, other in zip([0, *cuts], [*cuts, len(token_ids)], strict=True))
        else []
    )


def fragments_of(
    trace: Trace, *, model: LanguageModel, memories: Sequence[int], shelf: FragmentShelf
) -> dict[str, KVFragment]:
    """The fragments that a trace used, by digest: those kept for `memories` (seqs), or else made again.

    NotFound where neither gives what was put then: it was made with another number of threads, say.
    """
    starts = np.cumsum([0, *(one.tokens for one in trace.passes)])
    wanted = {
        one.fragment: trace.token_ids[start : start + one.tokens]
        for one, start in zip(trace.passes, starts, strict=False)
        if one.fragment is not None
    }
    if not wanted:
        return {}
    maker = FragmentMaker.of(model)
    found = _kept(maker, wanted, memories=memories, shelf=shelf)
    missing = {digest: ids for digest, ids in wanted.items() if digest not in found}
    for token_ids, data in zip(
        missing.values(), maker.make(list(missing.values())) if missing else (), strict=True
    ):
        fragment = maker.read(data, token_ids=token_ids)
        found[fragment.digest] = fragment
    for digest in wanted:
        if digest not in found:
            raise NotFound(
                f"The KV fragment {digest[:12]}... that the trace {trace.id} used is kept no more, "
                "and made again it comes out otherwise.",
                hint="Fragments are a cache, and go when a store is re-keyed; the trace still tells what happened.",
                trace=trace.id,
                fragment=digest,
            )
    return found


def _kept(
    maker: FragmentMaker, wanted: Mapping[str, TokenIds], *, memories: Sequence[int], shelf: FragmentShelf
) -> dict[str, KVFragment]:
    by_name = {maker.name(token_ids): token_ids for token_ids in wanted.values()}
    found = {}
    for (_, name), data in shelf.fragments([(seq, name) for seq in memories for name in by_name]).items():
        try:
            fragment = maker.read(data, token_ids=by_name[name])
        except FragmentError:  # it is made again
            continue
        found[fragment.digest] = fragment
    return found


def _conversation(model: LanguageModel, lines: Sequence[str], *, system: str | None) -> TokenIds:
    """A prompt with a note of these lines and next to nothing behind it, int32 [T]."""
    note = Note(framed(list(lines)), tokens=0, memory_ids=())
    return compose_prompt(model, system=system, note=note, history=(), message=".", reserve=0).chat.token_ids
