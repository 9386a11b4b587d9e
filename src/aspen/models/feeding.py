"""Bringing a prompt into a session pass by pass, and how that is written down for a replay.

Floating-point sums depend on the shape of the batch: the same prompt cut into other passes gives other last bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np

from aspen.errors import InvalidInput
from aspen.models.interface import Session
from aspen.models.kv import KVFragment
from aspen.types import FloatArray, Pass, TokenIds


def feed(
    session: Session,
    token_ids: TokenIds,
    *,
    passes: Sequence[Pass],
    fragments: Mapping[str, KVFragment] | None = None,
) -> FloatArray:
    """Bring int32 [P] into the session; the logits after the last token, float32 [V].

    `fragments` has, by digest, those that `passes` name. InvalidInput, before the session is touched, where the passes
    do not cover the tokens, end with a fragment, or name one that is not there or has other tokens.
    """
    known = fragments or {}
    check_passes(passes, length=len(token_ids))
    starts = np.cumsum([0, *(one.tokens for one in passes)])
    for one, start in zip(passes, starts, strict=False):
        if one.fragment is None:
            continue
        fragment = known.get(one.fragment)
        if fragment is None or not np.array_equal(fragment.token_ids, token_ids[start : start + one.tokens]):
            raise InvalidInput(
                f"The KV fragment {one.fragment[:12]}... of tokens {start} to {start + one.tokens} is not there."
            )
    *before, last = zip(passes, starts, strict=False)
    for as_fragments, group in groupby(before, key=lambda entry: entry[0].fragment is not None):
        if as_fragments:
            session.put(KVFragment.joined([known[one.fragment or ""] for one, _ in group]))
            continue
        for one, start in group:
            session.prefill(token_ids[start : start + one.tokens])
    return session.prefill(token_ids[last[1] :])


def check_passes(passes: Sequence[Pass], *, length: int) -> None:
    """Raise InvalidInput unless the passes cover `length` >= 1 tokens and the last one runs."""
    if (
        any(one.tokens < 1 for one in passes)
        or sum(one.tokens for one in passes) != length
        or not passes
        or passes[-1].fragment is not None
    ):
        raise InvalidInput(
            f"{len(passes)} passes over {sum(one.tokens for one in passes)} tokens do not bring in a prompt of "
            f"{length}: each has one token or more, and the last one runs."
        )
