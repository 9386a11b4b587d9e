"""What the stamp of a store says of its keys: which layers, in which code, read by which heads, in which runtime.

Written as `1:0,9,15/3f0c91aa/2:9.2,...:77ab01cd`, with `/runtime` behind it for any other than transformers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

_UNNAMED = "transformers"
"""Stores of the first runtime came before there was another one, and do not name it."""


@dataclass(frozen=True, slots=True)
class KeyVersion:
    """The parts of a key version.

    recipe: `KeyRecipe.version`; code: `KeyCode.version`; heads: `HeadSet.version` or "no heads"; runtime: that of the
    model's fingerprint. Two runtimes round otherwise, so the same weights make other keys, however near.
    """

    recipe: str
    code: str
    heads: str
    runtime: str = _UNNAMED

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The inverse of `str`; None for what is no key version."""
        parts = text.split("/")
        return cls(*parts) if 3 <= len(parts) <= 4 and all(parts) else None

    def __str__(self) -> str:
        parts = [self.recipe, self.code, self.heads]
        return "/".join(parts if self.runtime == _UNNAMED else [*parts, self.runtime])
