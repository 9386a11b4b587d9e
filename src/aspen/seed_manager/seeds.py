"""Where seeds come from."""

from __future__ import annotations

import secrets

from aspen.validation import MAX_SEED, check_seed


def choose_seed(seed: int | None) -> int:
    """The seed that was given, or a fresh one from the operating system, in [0, 2**53 - 1].

    Fresh seeds owe nothing to any random state of the process, so two processes never share one by accident.
    Raises InvalidInput on a seed out of range.
    """
    return secrets.randbelow(MAX_SEED + 1) if seed is None else check_seed(seed)
