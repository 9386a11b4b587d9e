"""Queries and keys of a block's heads, computed from the residual stream that the block reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from aspen.errors import ModelError
from aspen.models.heads import HeadAttention, Rotary
from aspen.models.interface import ModelInfo, RawRecording
from aspen.types import FloatArray

_NORMS = ("input_layernorm", "ln_1")
_ATTENTIONS = ("self_attn", "attention", "attn")
#: Share of the norm by which queries and keys may differ from the model's own: what bfloat16 loses, and no more.
_TOLERANCE = 0.05


def _separate(attention: Any, hidden: Tensor, info: ModelInfo) -> tuple[Tensor, Tensor]:
    return attention.q_proj(hidden), attention.k_proj(hidden)


def _fused(attention: Any, hidden: Tensor, info: ModelInfo) -> tuple[Tensor, Tensor]:
    fused = attention.qkv_proj(hidden)
    width = fused.shape[-1] // (info.n_heads + 2 * info.n_kv_heads)
    return fused.split([width * n for n in (info.n_heads, info.n_kv_heads, info.n_kv_heads)], dim=-1)[:2]  # type: ignore[no-any-return]


def _fused_by_head(attention: Any, hidden: Tensor, info: ModelInfo) -> tuple[Tensor, Tensor]:
    by_head = attention.query_key_value(hidden).unflatten(-1, (info.n_heads, 3, -1))
    return by_head[..., 0, :].flatten(-2), by_head[..., 1, :].flatten(-2)


def _convolved(attention: Any, hidden: Tensor, info: ModelInfo) -> tuple[Tensor, Tensor]:
    query, key, _ = attention.c_attn(hidden).chunk(3, dim=-1)
    return query, key


_LATENTS = "kv_a_proj_with_mqa"
"""Keys and values come out of one compressed vector a token (multi-head latent attention): DeepSeek."""
#: The projection that marks a layout -> flat queries [B, T, H x head_dim] and keys [B, T, H_kv x head_dim].
_LAYOUTS: dict[str, Callable[[Any, Tensor, ModelInfo], tuple[Tensor, Tensor]]] = {
    "q_proj": _separate,  # Llama, Mistral, Qwen, Gemma
    "qkv_proj": _fused,  # Phi-3
    "query_key_value": _fused_by_head,  # GPT-NeoX
    "c_attn": _convolved,  # GPT-2
}


def project(block: nn.Module, hidden: Tensor, *, info: ModelInfo) -> tuple[Tensor, Tensor]:
    """Queries [B, H, T, head_dim] and keys [B, H_kv, T, head_dim] from the residual stream [B, T, D] before `block`.

    Not rotated; norms of queries and keys are applied. ModelError where the block has no layout known here.
    """
    norm, attention = _child(block, _NORMS), _child(block, _ATTENTIONS)
    if hasattr(attention, _LATENTS):
        raise _unreadable(type(block).__name__, "its keys and values are compressed together (MLA)")
    layout = next((name for name in _LAYOUTS if hasattr(attention, name)), None)
    if norm is None or layout is None:
        raise _unreadable(type(block).__name__, "its parts do not bear the names that Aspen knows")
    flat = _LAYOUTS[layout](attention, norm(hidden), info)
    query, key = (
        part.unflatten(-1, (n, -1)).transpose(1, 2)
        for part, n in zip(flat, (info.n_heads, info.n_kv_heads), strict=True)
    )
    if hasattr(attention, "q_norm") and hasattr(attention, "k_norm"):  # Qwen3, Gemma 3
        query, key = attention.q_norm(query), attention.k_norm(key)
    return query, key


def attention_of(
    hf: PreTrainedModel,
    recording: RawRecording,
    layer: int,
    *,
    block: nn.Module,
    hidden: FloatArray,
    info: ModelInfo,
) -> HeadAttention:
    """How queries and keys of block `layer` meet: tried out on a recording, whose layer `layer` is `hidden` [T, D].

    Names of modules say little: what `project` gives counts as understood once it becomes, rotated or as it is,
    what the model's own attention took in.
    """
    inputs = recording.attention_inputs(layer)
    states = torch.from_numpy(hidden)[None].to(device=hf.device, dtype=hf.dtype)
    try:
        with torch.inference_mode():
            query, key = (part[0].float().cpu().numpy() for part in project(block, states, info=info))
    except RuntimeError as error:  # norms over all heads at once, or another order of things
        raise _unreadable(type(block).__name__, "its parts do not fit together as expected") from error
    positions = np.arange(len(hidden))
    for rotary in _possible_rotaries(hf, layer):
        turned = [part if rotary is None else rotary.rotate(part, positions) for part in (query, key)]
        if _alike(turned[0], inputs.queries) and _alike(turned[1], inputs.keys):
            return HeadAttention(inputs.scale, inputs.softcap, rotary)
    raise _unreadable(type(block).__name__, "they reach its attention in another form")


def _possible_rotaries(hf: PreTrainedModel, layer: int) -> Sequence[Rotary | None]:
    """The model's rotary embedding, if it has one, and none: some models leave it out in some layers."""
    modules: Any = dict(hf.base_model.named_modules())
    module = next((modules[name] for name in modules if name.split(".")[-1] == "rotary_emb"), None)
    kinds = getattr(hf.config.get_text_config(decoder=True), "layer_types", None)
    # Gemma 3 has other frequencies in windowed layers than in the others.
    prefixes = (f"{kinds[layer]}_", "") if kinds is not None else ("",)
    found = next((p for p in prefixes if isinstance(getattr(module, f"{p}inv_freq", None), Tensor)), None)
    if found is None:
        return (None,)
    frequencies = getattr(module, f"{found}inv_freq").float().cpu().numpy()
    return Rotary(frequencies, float(getattr(module, f"{found}attention_scaling", 1.0))), None


def _alike(ours: FloatArray, theirs: FloatArray) -> bool:
    if ours.shape != theirs.shape:
        return False
    return bool(np.linalg.norm(ours - theirs) <= _TOLERANCE * np.linalg.norm(theirs))


def _child(parent: Any, names: Sequence[str]) -> Any:
    return next((getattr(parent, name) for name in names if hasattr(parent, name)), None)


def _unreadable(name: str, reason: str) -> ModelError:
    return ModelError(
        f"Queries and keys of single heads cannot be read from {name}: {reason}.",
        hint="Everything else works; memories are then not matched by single heads.",
    )
