"""Tiny tokenizers of the kinds that Llama and Gemma have: blanks as "▁", and a token <0xNN> for every byte."""

from __future__ import annotations

import json
from typing import Any

from tests.tiny_models import CHATML, VOCABULARY
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AddedToken, PreTrainedTokenizerFast

SPECIAL = ["<unk>", "<s>", "</s>"]
_CORPUS = [
    "The quick brown fox jumps over the lazy dog. My sister Mara moved to Lisbon in March.",
    '{"tool":"search_memories","arguments":{"query":"the lazy dog","top_k":10}} search memories',
]


def _replacing(*, prefix: bool) -> tuple[Any, Any, Any]:
    """Normaliser, pre-tokenizer and decoder; with `prefix`, a blank goes before every text."""
    steps: list[Any] = [normalizers.Replace(" ", "▁")]
    back: list[Any] = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    if prefix:
        steps.insert(0, normalizers.Prepend("▁"))
        back.append(decoders.Strip(" ", 1, 0))
    return normalizers.Sequence(steps), None, decoders.Sequence(back)


def _metaspace() -> tuple[Any, Any, Any]:
    decoder = [decoders.ByteFallback(), decoders.Metaspace()]
    return None, pre_tokenizers.Metaspace(), decoders.Sequence(decoder)


STYLES = {
    "llama": lambda: _replacing(prefix=True),
    "gemma": lambda: _replacing(prefix=False),
    "metaspace": _metaspace,
}


def sentencepiece_style(style: str) -> Any:
    """A transformers tokenizer of one of the STYLES, with an added token that stands for text, as Gemma has them."""
    trained = Tokenizer(models.BPE(unk_token="<unk>"))
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    pieces = VOCABULARY - 256 - 1
    trainer = trainers.BpeTrainer(vocab_size=pieces, special_tokens=SPECIAL, show_progress=False)
    trained.train_from_iterator(_CORPUS, trainer)
    described = json.loads(trained.to_str())
    learned = sorted(described["model"]["vocab"], key=described["model"]["vocab"].__getitem__)[len(SPECIAL) :]
    order = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), *learned]
    described["model"] |= {"vocab": {token: i for i, token in enumerate(order)}, "byte_fallback": True}
    described["pre_tokenizer"] = None
    tokenizer = Tokenizer.from_str(json.dumps(described))
    normaliser, pre_tokenizer, tokenizer.decoder = STYLES[style]()
    if normaliser is not None:
        tokenizer.normalizer = normaliser
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )
    fast.add_tokens([AddedToken("<b>", normalized=False)])
    fast.chat_template = CHATML
    return fast
