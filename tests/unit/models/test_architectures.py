"""Architectures that llama.cpp runs, each with random weights beside transformers: the residual stream is the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
import transformers
from tests.tiny_gguf import write_tokenizer
from tests.tiny_models import VOCABULARY, tiny_tokenizer

from aspen.models import _llama_cpp

LAYERS, WIDTH, HEADS, HEAD_DIM, CONTEXT = 3, 64, 4, 16, 512
_COMMON = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "intermediate_size": 128,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": 2,
    "max_position_embeddings": CONTEXT,
    "tie_word_embeddings": False,
}
_OWN_HEAD_DIM = {"head_dim": HEAD_DIM}


@dataclass(frozen=True)
class Case:
    """transformers' names begin with `name`; `settings` of its config, `keys` of the file. shifted: norms hold what is
    added to 1 there, and what is multiplied with in the file.
    """

    name: str
    arch: gguf.MODEL_ARCH
    settings: Mapping[str, Any] = field(default_factory=dict)
    keys: Callable[[gguf.GGUFWriter], None] = lambda writer: None
    rotated: int = HEAD_DIM
    shifted: bool = False
    config: str = ""


def _granite_keys(writer: gguf.GGUFWriter) -> None:
    writer.add_embedding_scale(12.0)
    writer.add_residual_scale(0.22)
    writer.add_attention_scale(0.1)
    writer.add_logit_scale(4.0)


def _cohere2_keys(writer: gguf.GGUFWriter) -> None:
    writer.add_sliding_window(128)
    writer.add_logit_scale(0.0625)


_GRANITE = {
    "embedding_multiplier": 12.0,
    "residual_multiplier": 0.22,
    "attention_multiplier": 0.1,
    "logits_scaling": 4.0,
}
_EXAONE = {**_OWN_HEAD_DIM, "sliding_window": None, "layer_types": ["full_attention"] * LAYERS}
_GEMMA3 = {**_OWN_HEAD_DIM, "query_pre_attn_scalar": HEAD_DIM}
_GLM = {**_OWN_HEAD_DIM, "pad_token_id": 0, "partial_rotary_factor": 1.0}
CASES = [
    Case("Arcee", gguf.MODEL_ARCH.ARCEE),
    Case(
        "Cohere",
        gguf.MODEL_ARCH.COMMAND_R,
        {"tie_word_embeddings": True},
        lambda w: w.add_logit_scale(0.0625),
    ),
    Case(
        "Cohere2",
        gguf.MODEL_ARCH.COHERE2,
        {"tie_word_embeddings": True, "sliding_window": 128},
        _cohere2_keys,
    ),
    Case("Ernie4_5", gguf.MODEL_ARCH.ERNIE4_5, _OWN_HEAD_DIM),
    Case("Exaone4", gguf.MODEL_ARCH.EXAONE4, _EXAONE),
    Case("Gemma", gguf.MODEL_ARCH.GEMMA, _OWN_HEAD_DIM, shifted=True),
    Case(
        "Gemma3",
        gguf.MODEL_ARCH.GEMMA3,
        _GEMMA3,
        lambda w: w.add_sliding_window(CONTEXT),
        shifted=True,
        config="Gemma3TextConfig",
    ),
    Case("Glm4", gguf.MODEL_ARCH.GLM4, _GLM),
    Case("Granite", gguf.MODEL_ARCH.GRANITE, _GRANITE, _granite_keys),
    Case("Nemotron", gguf.MODEL_ARCH.NEMOTRON, rotated=8, shifted=True),
    Case("Olmo", gguf.MODEL_ARCH.OLMO),
    Case("Olmo2", gguf.MODEL_ARCH.OLMO2),
    Case("Phi", gguf.MODEL_ARCH.PHI2, {"num_key_value_heads": HEADS}, rotated=8),
    Case("Phi3", gguf.MODEL_ARCH.PHI3, {"pad_token_id": 0}),
    Case("Qwen2", gguf.MODEL_ARCH.QWEN2),
    Case("SeedOss", gguf.MODEL_ARCH.SEED_OSS, _OWN_HEAD_DIM),
    Case("SmolLM3", gguf.MODEL_ARCH.SMOLLM3, {"pad_token_id": 0}),
    Case("StableLm", gguf.MODEL_ARCH.STABLELM, keys=lambda w: w.add_parallel_residual(False), rotated=4),
    Case("Starcoder2", gguf.MODEL_ARCH.STARCODER2, {"sliding_window": None}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_residual_stream_is_that_of_transformers(case: Case, tmp_path: Path) -> None:
    theirs = _transformer(case)
    path = tmp_path / "tiny.gguf"
    _write(path, case, model=theirs)
    ours = _llama_cpp.load(path, threads=1)
    ids = np.arange(3, 15, dtype=np.int32)
    with torch.no_grad():
        found = theirs(torch.from_numpy(ids.astype(np.int64))[None], output_hidden_states=True).hidden_states
    expected = np.stack([state[0].numpy() for state in found[:LAYERS]])  # the last one is normalised there
    with ours.recording() as recording:
        ours.start_session().prefill(ids)
    captured = ours.capture([ids], layers=range(LAYERS))[0]
    for states in (recording.hidden_states()[:LAYERS], captured):
        lengths = np.linalg.norm(states, axis=-1) * np.linalg.norm(expected, axis=-1)
        cosine = np.einsum("ltd,ltd->lt", states, expected) / lengths
        assert cosine.min() > 0.999, cosine.min(axis=1)


def _transformer(case: Case) -> Any:
    config = getattr(transformers, case.config or f"{case.name}Config")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return getattr(transformers, f"{case.name}ForCausalLM")(config(**{**_COMMON, **case.settings})).eval()


def _write(path: Path, case: Case, *, model: Any) -> None:
    config = model.config
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[case.arch])
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(128)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_vocab_size(VOCABULARY)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_rope_freq_base(10_000.0)
    writer.add_layer_norm_rms_eps(getattr(config, "rms_norm_eps", None) or 1e-6)
    writer.add_layer_norm_eps(1e-5)
    writer.add_rope_dimension_count(case.rotated)
    writer.add_key_length(HEAD_DIM)
    writer.add_value_length(HEAD_DIM)
    case.keys(writer)
    write_tokenizer(writer, tiny_tokenizer())
    names = gguf.get_tensor_name_map(case.arch, LAYERS)
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        value = tensor.numpy().astype(np.float32)
        found = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if found is not None:
            writer.add_tensor(found, value + 1 if case.shifted and name.endswith("norm.weight") else value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
