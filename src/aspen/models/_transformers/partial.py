"""The partial forward pass: run the blocks up to the deepest layer asked for, and no further."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from aspen.errors import ModelError
from aspen.models._transformers.heads import project
from aspen.models._transformers.recording import hidden_argument, hidden_result
from aspen.models.heads import Captured, HeadRef
from aspen.models.interface import ModelInfo
from aspen.types import FloatArray, TokenIds

#: Padded tokens in one forward pass: bounds memory, and larger batches are no faster on a CPU.
_TOKENS_PER_PASS = 2048


class _Stop(Exception):
    """Raised by a hook to leave the forward pass; never seen outside this module."""


def find_blocks(hf: PreTrainedModel, *, count: int) -> Sequence[nn.Module]:
    """The transformer blocks: the outermost list of `count` modules in the model."""
    lists = [
        (name.count("."), name, module)
        for name, module in hf.base_model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == count
    ]
    if not lists:
        raise ModelError(
            f"No list of {count} transformer blocks was found in {type(hf).__name__}.",
            hint="Aspen runs decoder-only models that are a stack of like blocks.",
        )
    return list(min(lists, key=lambda entry: entry[:2])[2])


def capture(
    hf: PreTrainedModel,
    batch: Sequence[TokenIds],
    *,
    layers: Sequence[int],
    heads: Sequence[HeadRef],
    blocks: Sequence[nn.Module],
    info: ModelInfo,
) -> list[Captured]:
    """See `LanguageModel.capture_with_heads`. Arguments were checked."""
    results: list[Captured | None] = [None] * len(batch)
    reached = frozenset(layers) | {ref.block for ref in heads}
    for group in _groups([len(sequence) for sequence in batch]):
        longest = max(len(batch[i]) for i in group)
        # Padding stands on the right, where causal attention keeps real tokens from seeing it: no mask is
        # needed, and without one the attention kernel is the same as for a single sequence.
        ids = torch.zeros((len(group), longest), dtype=torch.int64)
        for row, i in enumerate(group):
            ids[row, : len(batch[i])] = torch.from_numpy(batch[i].astype("int64"))
        states = _forward_to(hf, ids.to(hf.device), layers=reached, blocks=blocks)
        queries, keys = _heads_of(states, heads=heads, blocks=blocks, info=info)
        stacked = {layer: _to_main_memory(states[layer]) for layer in set(layers)}
        for row, i in enumerate(group):
            n = len(batch[i])
            results[i] = Captured(
                hidden_states=torch.stack([stacked[layer][row, :n] for layer in layers]).numpy(),
                queries=_stack([query[row, :n] for query in queries]),
                keys=_stack([key[row, :n] for key in keys]),
            )
    return [result for result in results if result is not None]


def _heads_of(
    states: dict[int, Tensor], *, heads: Sequence[HeadRef], blocks: Sequence[nn.Module], info: ModelInfo
) -> tuple[list[Tensor], list[Tensor]]:
    """Queries of `heads` and the keys they read, float32 [B, T, head_dim] each, from the residual stream."""
    projected = {}
    with torch.inference_mode():
        for block in {ref.block for ref in heads}:
            parts = project(blocks[block], states[block], info=info)
            projected[block] = [_to_main_memory(part) for part in parts]
    return (
        [projected[ref.block][0][:, ref.head] for ref in heads],
        [projected[ref.block][1][:, ref.head] for ref in info.key_heads(heads)],
    )


def _to_main_memory(tensor: Tensor) -> Tensor:
    return tensor.to(device="cpu", dtype=torch.float32)


def _stack(tensors: list[Tensor]) -> FloatArray:
    if not tensors:
        return np.zeros((0, 0, 0), dtype=np.float32)
    if len({tensor.shape[-1] for tensor in tensors}) > 1:
        raise ModelError("Heads of different sizes were asked for at once.", hint="Ask for them one by one.")
    return torch.stack(tensors).numpy()  # type: ignore[no-any-return]


def _groups(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices of sequences to run together: of like length, and few enough to fit one pass."""
    group: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        longest = lengths[group[0]] if group else 0
        if group and ((len(group) + 1) * longest > _TOKENS_PER_PASS or 2 * lengths[i] < longest):
            yield group
            group = []
        group.append(i)
    if group:
        yield group


def _forward_to(
    hf: PreTrainedModel, ids: Tensor, *, layers: frozenset[int], blocks: Sequence[nn.Module]
) -> dict[int, Tensor]:
    """Residual stream [B, T, D] at each layer, from token ids [B, T]."""
    deepest = max(layers)
    states: dict[int, Tensor] = {}

    def keep(layer: int, hidden: Tensor) -> None:
        # Copied at once, unless the pass ends here: a block may go on to write into its input.
        states[layer] = hidden if layer == deepest else hidden.clone()
        if layer == deepest:
            raise _Stop

    def before(layer: int) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], None]:
        return lambda module, args, kwargs: keep(layer, hidden_argument(args, kwargs))

    handles = [
        blocks[layer].register_forward_pre_hook(before(layer), with_kwargs=True)
        for layer in layers
        if layer < len(blocks)
    ]
    if deepest == len(blocks):
        after = lambda module, args, output: keep(deepest, hidden_result(output))  # noqa: E731
        handles.append(blocks[-1].register_forward_hook(after))
    try:
        with torch.inference_mode():
            hf.base_model(input_ids=ids, use_cache=False)
    except _Stop:
        return states
    finally:
        for handle in handles:
            handle.remove()
    raise ModelError(f"{type(hf).__name__} ended its forward pass before layer {deepest}.")
