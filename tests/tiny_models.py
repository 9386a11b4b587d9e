"""Tiny random transformers and a tokenizer, built on the spot: real architectures, a few thousand weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    DeepseekV2Config,
    DeepseekV2ForCausalLM,
    DeepseekV3Config,
    DeepseekV3ForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    Lfm2Config,
    Lfm2ForCausalLM,
    Llama4ForCausalLM,
    Llama4TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from aspen.models._transformers.model import TransformersModel

VOCABULARY = 512
LAYERS = 4
WIDTH = 32
WINDOW = 6
CONTEXT = 128

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] "
    "+ '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

_CORPUS = [
    "The quick brown fox jumps over the lazy dog. My sister Mara moved to Lisbon in March.",
    "Where does my sister live? How did we fix the flaky test? What is the plan for the garden?",
    "user assistant system message note memory model token layer block attention key query value",
]

_COMMON = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
}
_GATED = {**_COMMON, "intermediate_size": 48, "num_key_value_heads": 2, "max_position_embeddings": CONTEXT}


def _llama() -> Any:
    return LlamaForCausalLM(LlamaConfig(**_GATED))


def _qwen3() -> Any:
    return Qwen3ForCausalLM(Qwen3Config(**_GATED, head_dim=8))


def _mistral() -> Any:
    return MistralForCausalLM(MistralConfig(**_GATED, sliding_window=WINDOW))


def _gemma2() -> Any:
    settings = {**_GATED, "head_dim": 8, "sliding_window": WINDOW, "attn_logit_softcapping": 0.05}
    return Gemma2ForCausalLM(Gemma2Config(**settings, query_pre_attn_scalar=8))


def _gpt_neox() -> Any:
    settings = {**_COMMON, "intermediate_size": 48, "max_position_embeddings": CONTEXT}
    return GPTNeoXForCausalLM(GPTNeoXConfig(**settings))


def _gpt2() -> Any:
    return GPT2LMHeadModel(
        GPT2Config(vocab_size=VOCABULARY, n_embd=WIDTH, n_layer=LAYERS, n_head=4, n_positions=CONTEXT)
    )


_MLA = "(multi-head latent attention, MLA)"


def _mla(config: Any, model: Any, *, q_lora_rank: int | None) -> Any:
    ranks = {"q_lora_rank": q_lora_rank, "kv_lora_rank": 8, "qk_rope_head_dim": 4, "qk_nope_head_dim": 4}
    dense = {"first_k_dense_replace": LAYERS, "n_routed_experts": 4, "moe_intermediate_size": 16}
    settings = {**_GATED, **ranks, **dense, "num_key_value_heads": 4, "v_head_dim": 8}
    return model(config(**settings))


def _mrope() -> Any:
    rope = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [1, 1, 2]}
    eyes = {"depth": 1, "embed_dim": 16, "hidden_size": WIDTH, "num_heads": 2}
    text = {**_GATED, "rope_parameters": rope, "bos_token_id": None, "eos_token_id": None}
    return Qwen2VLForConditionalGeneration(Qwen2VLConfig(text_config=text, vision_config=eyes))


def _dynamic() -> Any:
    rope = {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10_000.0}
    return LlamaForCausalLM(LlamaConfig(**_GATED, rope_parameters=rope))


def _longrope() -> Any:
    factors = {"short_factor": [1.0] * 4, "long_factor": [4.0] * 4}
    rope = {"rope_type": "longrope", "factor": 4.0, "rope_theta": 10_000.0, **factors}
    return Phi3ForCausalLM(Phi3Config(**_GATED, pad_token_id=0, eos_token_id=None, rope_parameters=rope))


def _chunked() -> Any:
    experts = {"intermediate_size_mlp": 48, "num_local_experts": 2, "attention_chunk_size": WINDOW}
    return Llama4ForCausalLM(Llama4TextConfig(**_GATED, **experts, head_dim=8))


BUILDERS: dict[str, Callable[[], Any]] = {
    "llama": _llama,
    "qwen3": _qwen3,
    "mistral": _mistral,
    "gemma2": _gemma2,
    "gpt_neox": _gpt_neox,
    "gpt2": _gpt2,
}
IMMOVABLE: dict[str, tuple[Callable[[], Any], str]] = {
    "deepseek_v3": (
        lambda: _mla(DeepseekV3Config, DeepseekV3ForCausalLM, q_lora_rank=8),
        _MLA,
    ),
    "deepseek_v2": (
        lambda: _mla(DeepseekV2Config, DeepseekV2ForCausalLM, q_lora_rank=None),
        _MLA,
    ),
    "qwen2_vl": (_mrope, "several axes (M-RoPE)"),
    "llama_dynamic": (_dynamic, "(type dynamic) depends on the length"),
    "phi3_longrope": (_longrope, "(type longrope) depends on the length"),
    "lfm2": (lambda: Lfm2ForCausalLM(Lfm2Config(**_GATED, full_attn_idxs=[1, 3])), "of the kind conv,"),
    "llama4": (_chunked, "of the kind chunked_attention,"),
    "mistral": (_mistral, "of the kind sliding_attention,"),
    "gemma2": (_gemma2, "of the kind sliding_attention,"),
}
"""Models whose keys and values cannot be moved to another place, and what of the reason says why."""


def tiny_transformer(architecture: str, *, seed: int = 0) -> Any:
    """A random transformers model in evaluation mode, float32 on the CPU; the same weights for the same seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        build = BUILDERS[architecture] if architecture in BUILDERS else IMMOVABLE[architecture][0]
        model = build().eval()
        with torch.no_grad():
            for parameter in model.parameters():
                # The initial weights are so small that attention is all but uniform: a test would see nothing.
                parameter.add_(torch.randn_like(parameter) * 0.2)
    model.generation_config.eos_token_id = None
    return model


def tiny_tokenizer(*, chat_template: str | None = CHATML) -> Any:
    """A byte-level BPE tokenizer with ChatML's control tokens and a <think> that is not marked special."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - 1,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_CORPUS, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>")
    fast.add_tokens(["<think>"])
    fast.chat_template = chat_template
    return fast


def tiny_model(architecture: str = "llama", *, seed: int = 0, tokenizer: Any = None) -> TransformersModel:
    """A `TransformersModel` around the two."""
    return TransformersModel(
        tiny_transformer(architecture, seed=seed),
        tokenizer=tokenizer or tiny_tokenizer(),
        name=f"tiny-{architecture}",
        weights_hash=lambda: f"{architecture}-{seed}".encode().hex().ljust(64, "0"),
    )
