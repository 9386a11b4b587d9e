"""The tiny random transformers of `tests.tiny_models` as GGUF files: the same weights for both runtimes."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from tests.tiny_models import CONTEXT, LAYERS, VOCABULARY, WIDTH, WINDOW, tiny_tokenizer, tiny_transformer

from aspen.models._llama_cpp.loading import load
from aspen.models._llama_cpp.model import LlamaCppModel

_ARCHITECTURES = {
    "llama": gguf.MODEL_ARCH.LLAMA,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
    "gemma2": gguf.MODEL_ARCH.GEMMA2,
    "gpt_neox": gguf.MODEL_ARCH.GPTNEOX,
}
GGUF_MODELS = tuple(_ARCHITECTURES)


def tiny_llama_cpp(
    architecture: str, folder: Path, *, seed: int = 0, threads: int = 1, context: int = CONTEXT
) -> LlamaCppModel:
    """A tiny model of the same weights as `tiny_model(architecture, seed=seed)`, in llama.cpp."""
    path = folder / f"tiny-{architecture}-{seed}-{context}.gguf"
    if not path.exists():
        write_tiny_gguf(architecture, path, seed=seed, context=context)
    return load(path, threads=threads)


def write_tiny_gguf(
    architecture: str,
    path: Path,
    *,
    seed: int = 0,
    context: int = CONTEXT,
    change: Callable[[gguf.GGUFWriter], None] | None = None,
) -> None:
    """Write `tiny_transformer(architecture, seed=seed)` with its tokenizer; `change` may add to what the file says."""
    model = tiny_transformer(architecture, seed=seed)
    arch = _ARCHITECTURES[architecture]
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[arch])
    _write_shape(writer, architecture, config=model.config, context=context)
    write_tokenizer(writer, tiny_tokenizer())
    if change is not None:
        change(writer)
    names = gguf.get_tensor_name_map(arch, LAYERS)
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and model.config.tie_word_embeddings:
            continue
        value = tensor.numpy().astype(np.float32)
        if architecture == "llama" and name.endswith(("q_proj.weight", "k_proj.weight")):
            value = _interleaved(value, heads=4 if "q_proj" in name else 2)
        if architecture == "gemma2" and name.endswith("norm.weight"):
            value = value + 1  # the file holds what is multiplied with
        if architecture == "gpt_neox" and "query_key_value" in name:
            value = _apart(value)
        found = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if found is None:
            raise AssertionError(name)
        writer.add_tensor(found, np.ascontiguousarray(value))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def repeat_a_token(path: Path) -> None:
    """Give a tiny model the same token twice, on which llama.cpp ends the process that loads it."""
    data = path.read_bytes()
    start = data.index(b"tokenizer.ggml.tokens")
    one, other = (data.index(struct.pack("<Q", 1) + letter, start) for letter in (b"a", b"b"))
    path.write_bytes(data[:other] + data[one : one + 9] + data[other + 9 :])


def _write_shape(writer: gguf.GGUFWriter, architecture: str, *, config: Any, context: int) -> None:
    writer.add_name(f"tiny-{architecture}")
    writer.add_context_length(context)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(4)
    writer.add_head_count_kv(getattr(config, "num_key_value_heads", 4))
    writer.add_vocab_size(VOCABULARY)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    head_dim = getattr(config, "head_dim", None) or WIDTH // 4
    rope = getattr(config, "rope_parameters", None) or {}
    writer.add_rope_freq_base(float(rope.get("rope_theta", 10_000.0)))
    if architecture == "gpt_neox":
        writer.add_layer_norm_eps(config.layer_norm_eps)
        writer.add_rope_dimension_count(int(head_dim * rope.get("partial_rotary_factor", 0.25)))
        writer.add_parallel_residual(True)
        return
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(head_dim)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    if architecture == "gemma2":
        writer.add_sliding_window(WINDOW)
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        writer.add_final_logit_softcapping(config.final_logit_softcapping)


def write_tokenizer(writer: gguf.GGUFWriter, tokenizer: Any) -> None:
    """What a file says of the tokenizer and its chat template."""
    described = json.loads(tokenizer.backend_tokenizer.to_str())
    tokens = {i: token for token, i in tokenizer.get_vocab().items()}
    special = {one["id"]: one["special"] for one in described["added_tokens"]}
    kinds = {True: gguf.TokenType.CONTROL, False: gguf.TokenType.USER_DEFINED}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([tokens.get(i, f"[PAD{i}]") for i in range(VOCABULARY)])
    writer.add_token_types(
        [
            kinds[special[i]]
            if i in special
            else gguf.TokenType.NORMAL
            if i in tokens
            else gguf.TokenType.UNUSED
            for i in range(VOCABULARY)
        ]
    )
    merges = described["model"]["merges"]
    writer.add_token_merges([one if isinstance(one, str) else " ".join(one) for one in merges])
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_add_bos_token(False)
    writer.add_chat_template(tokenizer.chat_template)


def _interleaved(weight: Any, *, heads: int) -> Any:
    """Rows of a projection such that dimension i stands beside i + r/2, as files of the architecture llama hold it."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def _apart(value: Any) -> Any:
    """Queries of all heads, then their keys, then their values: GPT-NeoX has the three of each head together."""
    return value.reshape(4, 3, WIDTH // 4, *value.shape[1:]).swapaxes(0, 1).reshape(value.shape)
