"""Which GGUF models Aspen runs through llama.cpp, and why it does not run the others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aspen.errors import ModelNotFound
from aspen.models.folders import is_file
from aspen.models.gguf_header import MAX_PARTS, GGUFHeader, read_header
from aspen.models.gguf_types import REMOVED_TYPES

#: Decoders whose graph in llama.cpp names the residual stream behind each block "l_out", and queries and keys "Qcur"
#: and "Kcur", which meet in ordinary attention: masked scores of rotated (or plain) queries and keys, nothing else.
#: Each was looked up in src/models/*.cpp of the release that is pinned, and run with random weights to see the names.
SUPPORTED = frozenset(
    {
        "arcee",
        "chatglm",
        "codeshell",
        "cohere2",
        "command-r",
        "deepseek",
        "dots1",
        "ernie4_5",
        "ernie4_5-moe",
        "exaone",
        "exaone4",
        "falcon",
        "gemma",
        "gemma2",
        "gemma3",
        "glm4",
        "gpt2",
        "gptneox",
        "granite",
        "granitemoe",
        "internlm2",
        "llama",
        "minicpm",
        "mistral3",
        "nemotron",
        "olmo",
        "olmo2",
        "olmoe",
        "orion",
        "phi2",
        "phi3",
        "phimoe",
        "qwen",
        "qwen2",
        "qwen2moe",
        "qwen3",
        "qwen3moe",
        "seed_oss",
        "smollm3",
        "stablelm",
        "starcoder",
        "starcoder2",
        "xverse",
    }
)

_EMBEDDING = "it makes embeddings of texts and generates none"
_RECURRENT = "it is recurrent, at least in part: a state stands in for the keys and values of its tokens"
_LATENT = "its attention works on compressed (latent) keys and values"
_ALIBI = "it tells positions by a bias on the scores of attention (ALiBi)"
_IMAGES = "it counts positions along several axes, for images"
_DRAFT = "it is a draft model, which only guesses ahead for another one"
_DIFFUSION = "it fills in texts by diffusion, not one token after the other"
_LATE_NORM = "it normalises queries and keys after their rotation"
_SOUND = "it makes sound, not text"
_STREAMS = "it keeps several residual streams, or feeds its layers from aside"


def _by_architecture(reasons: Mapping[str, str]) -> dict[str, str]:
    return {name: reason for reason, names in reasons.items() for name in names.split()}


#: Why others are not, of those that people have. Whatever stands in neither table is not known to Aspen.
REASONS = _by_architecture(
    {
        _EMBEDDING: "bert modern-bert nomic-bert nomic-bert-moe neo-bert jina-bert-v2 jina-bert-v3 eurobert "
        "gemma-embedding gemma-embedding2 llama-embed",
        "it is an encoder with a decoder, or without one": "t5 t5encoder",
        _RECURRENT: "mamba mamba2 rwkv6 rwkv6qwen2 rwkv7 arwkv7 jamba lfm2 lfm2moe falcon-h1 granitehybrid nemotron_h "
        "nemotron_h_moe plamo2 qwen3next qwen35 qwen35moe kimi-linear minimax-01",
        _LATENT: "deepseek2 deepseek2-ocr deepseek32 deepseek4 glm-dsa minicpm3 plm mistral4",
        _ALIBI: "bloom mpt refact jais",
        _IMAGES: "qwen2vl qwen3vl qwen3vlmoe hunyuan_vl cogvlm paddleocr chameleon",
        _DRAFT: "eagle3 dflash gemma4-assistant",
        _DIFFUSION: "dream llada llada-moe rnd1",
        _LATE_NORM: "hunyuan-dense hunyuan-moe llama4",
        _SOUND: "wavtokenizer-dec qwen3tts pockettts",
        _STREAMS: "gemma3n gemma4",
        "its attention has sinks, which take a share of the weights": "gpt-oss",
        "it holds the images' part of another model (mmproj), which Aspen does not use": "clip",
        "llama.cpp has no graph for it": "gptj",
        "larger and smaller ones tell positions in different ways": "baichuan",
        "its layers have different numbers of heads": "deci openelm",
    }
)

_KINDS = {
    "adapter": "it is an adapter (LoRA) to another model, not a model",
    "mmproj": REASONS["clip"],
    "imatrix": "it is an importance matrix for quantising, not a model",
    "vocab": "it has a vocabulary and no weights",
}

#: Keys of the architecture, and the most that llama.cpp or reason allow: a model cannot be run without these,
_NEEDED = {
    "block_count": 512,
    "embedding_length": 1 << 20,
    "attention.head_count": 1 << 14,
    "context_length": 1 << 31,
}
#: and these have a default.
_OPTIONAL = {
    "attention.head_count_kv": 1 << 14,
    "attention.key_length": 1 << 16,
    "attention.value_length": 1 << 16,
}
#: These always consist of experts.
_EXPERTS = frozenset({"deepseek", "dots1", "ernie4_5-moe", "olmoe", "phimoe", "qwen2moe", "qwen3moe"})

#: llama.cpp ends the process where one of these rotates a part of its heads only.
_ROTATE_WHOLE_HEADS = SUPPORTED - {
    *("chatglm", "cohere2", "command-r", "gemma", "gemma2", "gemma3", "glm4", "gpt2", "gptneox", "nemotron"),
    *("phi2", "phi3", "phimoe", "qwen", "stablelm", "starcoder"),
}


def why_not(header: GGUFHeader) -> str | None:
    """Why Aspen does not run the model in a file, as the end of a sentence; None where it does.

    Looks for the other parts of a model that is cut into several files, beside this one.
    """
    return (
        _why_not_kind(header)
        or _why_not_parts(header)
        or _why_not_shape(header)
        or _why_not_numbers(header)
        or _why_not_attention(header)
        or _why_not_weights(header)
    )


def _why_not_kind(header: GGUFHeader) -> str | None:
    if header.kind in _KINDS:
        return _KINDS[header.kind]
    name = header.architecture
    if not name and header.split_number == 0:
        return "it names no architecture"
    if name in REASONS:
        return REASONS[name]
    if name and name not in SUPPORTED:
        return f"Aspen does not know the architecture {name[:64]!r}"
    if header.metadata.get(f"{name}.attention.causal") is False or header.integer(f"{name}.pooling_type"):
        return _EMBEDDING
    return None


def _why_not_parts(header: GGUFHeader) -> str | None:
    count, number = header.split_count, header.split_number
    if count == 1:
        return None
    if count > MAX_PARTS:
        return f"it says that it is cut into {count:,} files"
    parts = header.parts
    if header.path not in parts:
        return f"it is cut into {count} files, and this one is not named NAME-00001-of-{count:05}.gguf"
    missing = [part.name for part in parts if not is_file(part)]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        return f"it is cut into {count} files, and {missing[0]}{more} is not beside this one"
    if number:
        return f"it is part {number + 1} of {count}: name {parts[0].name} instead"
    return None


def _why_not_shape(header: GGUFHeader) -> str | None:
    name = header.architecture
    for key, most in (_NEEDED | _OPTIONAL).items():
        values = header.per_layer(key)
        if not values and key in _NEEDED:
            return f"the key {name}.{key} is missing"
        wrong = next((value for value in values if not 0 < value <= most), None)
        if wrong is not None:
            return f"the key {name}.{key} is {wrong:,}, not from 1 to {most:,}"
    if len(set(header.per_layer("attention.head_count"))) > 1:
        return REASONS["deci"]
    experts, used = (
        header.integer(f"{name}.expert_count") or 0,
        header.integer(f"{name}.expert_used_count") or 0,
    )
    if (
        experts or name in _EXPERTS
    ) and not 0 < used <= experts:  # llama.cpp ends the process on some of these
        return f"it uses {used:,} of {experts:,} experts"
    if header.vocabulary_size < 2 or header.text("tokenizer.ggml.model") in (None, "none", "no_vocab"):
        return "it has no vocabulary"
    return None


def _why_not_numbers(header: GGUFHeader) -> str | None:
    """Numbers with which llama.cpp ends the process, or turns in a circle."""
    name = header.architecture
    for key in ("attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon"):
        epsilon = header.metadata.get(f"{name}.{key}", 0.0)
        if not (isinstance(epsilon, int | float) and 0 <= epsilon < 1):
            return f"the key {name}.{key} is {epsilon}, not from 0 to 1"
    width, heads = header.width or 0, max(1, header.heads or 1)
    (head_dim,) = header.per_layer("attention.key_length")[:1] or (width // heads,)
    for rotated in header.per_layer("rope.dimension_count"):
        partly = rotated < head_dim and name in _ROTATE_WHOLE_HEADS
        if partly or rotated % 2 or not 0 < rotated <= head_dim:
            return f"it rotates {rotated:,} of the {head_dim:,} dimensions of a head"
    return None


def _why_not_attention(header: GGUFHeader) -> str | None:
    """Keys that make something else of an architecture that is supported otherwise."""
    name = header.architecture
    if any(header.per_layer("rope.dimension_sections")[1:]):
        return _IMAGES
    if header.metadata.get(f"{name}.attention.max_alibi_bias"):
        return _ALIBI
    if header.metadata.get(f"{name}.attention.temperature_scale"):
        return "it scales its queries by their position"
    if header.per_layer("deepstack_mapping"):
        return _STREAMS
    return None


_OF_IMAGES = ("v.", "mm.", "a.")
"""How names of tensors begin that turn images or sound into embeddings."""


def _why_not_weights(header: GGUFHeader) -> str | None:
    if not header.tensors and header.split_count == 1:
        return _KINDS["vocab"]
    if any(tensor.name.startswith(_OF_IMAGES) for tensor in header.tensors):
        return "it holds the images' part as well, as Ollama writes it, which llama.cpp wants in a file of its own"
    removed = next((tensor for tensor in header.tensors if tensor.type in REMOVED_TYPES), None)
    if removed is not None:
        return f"the tensor {removed.name[:64]!r} is of a type ({removed.type}) that llama.cpp does not read any more"
    if header.missing:
        return f"the file is cut: {header.missing:,} bytes are missing at its end"
    return next(filter(None, map(_why_not_part, header.parts[1:])), None)


def _why_not_part(path: Path) -> str | None:
    try:
        missing = read_header(path).missing
    except ModelNotFound as error:
        return error.message.rstrip(".")
    return f"{path.name} is cut: {missing:,} bytes are missing at its end" if missing else None
