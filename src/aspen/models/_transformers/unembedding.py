"""From the residual stream to logits: the final norm and the unembedding, found in the model and checked against it.

That makes the logit lens possible (nostalgebraist 2020, "interpreting GPT: the logit lens"): what the model would say
if a layer were its last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from aspen.errors import ModelError
from aspen.models._transformers.recording import hidden_result

_CLOSE = 1e-3
"""Difference from the model's own logits, in units of their spread, up to which the way found is the model's own."""


class Unembedding:
    """Final norm, unembedding, and a soft cap where the model has one."""

    def __init__(self, norm: nn.Module, head: nn.Module, softcap: float | None) -> None:
        self._norm = norm
        self._head = head
        self._softcap = softcap

    def __call__(self, states: Tensor) -> Tensor:
        """Logits [n, V] of residual streams [n, D]."""
        logits: Tensor = self._head(self._norm(states))
        return logits if self._softcap is None else self._softcap * torch.tanh(logits / self._softcap)


def find_unembedding(hf: PreTrainedModel, *, blocks: Sequence[nn.Module], probe: Tensor) -> Unembedding:
    """How `hf` makes logits of its last layer: by the module beside the blocks that gives its own for `probe` [1, n].

    ModelError where none does: models may scale or mix what they compute in ways of their own.
    """
    head = hf.get_output_embeddings()
    if head is None:
        raise _refused(hf)
    seen: list[Tensor] = []

    def keep(module: nn.Module, args: Any, output: Any) -> None:
        seen.append(hidden_result(output)[0].clone())

    handle = blocks[-1].register_forward_hook(keep)
    try:
        own = hf(input_ids=probe, use_cache=False).logits[0].float()
    finally:
        handle.remove()
    cap = getattr(hf.config.get_text_config(decoder=True), "final_logit_softcapping", None)
    for norm in (*_beside(hf, blocks[-1]), nn.Identity()):
        found = Unembedding(norm, head, float(cap) if cap else None)
        try:
            logits = found(seen[0]).float()
        except (RuntimeError, TypeError, IndexError):  # a rotary embedding, a token embedding: no norm
            continue
        if logits.shape == own.shape and bool(((logits - own).abs() <= _CLOSE * own.std()).all()):
            return found
    raise _refused(hf)


def _beside(hf: PreTrainedModel, block: nn.Module) -> list[nn.Module]:
    """The modules that stand beside the list of blocks."""
    for parent in hf.modules():
        children = list(parent.children())
        if any(isinstance(child, nn.ModuleList) and any(one is block for one in child) for child in children):
            return [child for child in children if not isinstance(child, nn.ModuleList | nn.Embedding)]
    return []


def _refused(hf: PreTrainedModel) -> ModelError:
    return ModelError(
        f"How {type(hf).__name__} turns its last layer into logits could not be found.",
        hint="The logits of its own passes are there all the same.",
    )
