"""Tiny random transformers and a tokenizer, built on the spot: real architectures, a few thousand weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
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


BUILDERS: dict[str, Callable[[], Any]] = {
    "llama": _llama,
    "qwen3": _qwen3,
    "mistral": _mistral,
    "gemma2": _gemma2,
    "gpt_neox": _gpt_neox,
    "gpt2": _gpt2,
}


def tiny_transformer(architecture: str, *, seed: int = 0) -> Any:
    """A random transformers model in evaluation mode, float32 on the CPU; the same weights for the same seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = BUILDERS[architecture]().eval()
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
