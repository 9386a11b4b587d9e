"""Whether a model's keys and values can be moved to another place, and how they are turned."""

from __future__ import annotations

from collections.abc import Callable

from transformers import PreTrainedModel

from aspen.errors import ModelError
from aspen.models.heads import HeadAttention, Rotary

_FIXED_ROPES = ("default", "linear", "llama3", "yarn")
"""Ways to choose the frequencies of rotary embedding that do not depend on how long the sequence has become."""


def rotaries_of(
    hf: PreTrainedModel, *, n_layers: int, attention_of: Callable[[int], HeadAttention]
) -> tuple[Rotary, ...]:
    """The rotary embedding of each block; ModelError with the reason where fragments cannot be moved.

    `attention_of` is `LanguageModel.head_attention`: what it says was checked against the model's own attention.
    """
    config = hf.config.get_text_config(decoder=True)
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True):
        kinds.add("sliding_attention")
    if other := sorted(kinds - {"full_attention"}):
        raise _refused(f"it has layers of the kind {', '.join(other)}, which do not keep every token")
    if getattr(config, "kv_lora_rank", None):
        raise _refused("it keeps them compressed together (multi-head latent attention, MLA)")
    parameters = getattr(config, "rope_parameters", None) or {}
    if "mrope_section" in parameters:
        raise _refused("its rotary embedding has several axes (M-RoPE)")
    rope = parameters.get("rope_type", "default")
    if rope not in _FIXED_ROPES:
        raise _refused(f"its rotary embedding (type {rope}) depends on the length of the sequence")
    try:
        found = [attention_of(block).rotary for block in range(n_layers)]
    except ModelError as error:
        raise _refused(error.message.rstrip(".")) from error
    rotaries = [rotary for rotary in found if rotary is not None]
    if len(rotaries) < n_layers:
        raise _refused("positions are no matter of its attention alone")
    return tuple(rotaries)


def _refused(reason: str) -> ModelError:
    return ModelError(
        f"Keys and values of this model cannot be moved to another place: {reason}.",
        hint="Give the memories as text: strategy note.",
    )
