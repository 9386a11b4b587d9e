"""Tiny GGUF files that hold a vocabulary and no weights, made from a transformers tokenizer."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gguf import GGUFWriter, TokenType

from aspen.models._llama_cpp.library import open_library
from aspen.models._llama_cpp.text import LlamaTokenizer


def write_gguf(path: Path, tokenizer: Any, *, kind: str, prefix: bool = False, **changes: Any) -> Path:
    """Write what llama.cpp needs to tokenise as the tokenizer does, or nearly so.

    `kind` is "gpt2" for byte-level BPE and "llama" for SentencePiece; with `prefix`, a blank goes before every text.
    `changes` replace `tokens`, `types` or `template`; None leaves one out.
    """
    described = json.loads(tokenizer.backend_tokenizer.to_str())
    merges = [" ".join(pair) for pair in described["model"]["merges"]]
    names = {i: str(token) for i, token in tokenizer.added_tokens_decoder.items()}
    special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    tokens = [names.get(i) or tokenizer.convert_ids_to_tokens(i) for i in range(len(tokenizer))]
    types = [_type(token, special=i in special, added=i in names) for i, token in enumerate(tokens)]
    made = {pair.replace(" ", ""): -float(rank) for rank, pair in reversed(list(enumerate(merges)))}
    entries = {"tokens": tokens, "types": types, "template": tokenizer.chat_template, **changes}

    writer = GGUFWriter(path, "llama")
    writer.add_context_length(128)
    writer.add_embedding_length(32)
    writer.add_block_count(1)
    writer.add_feed_forward_length(32)
    writer.add_head_count(4)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model(kind)
    writer.add_tokenizer_pre("gpt-2" if kind == "gpt2" else "default")
    if entries["tokens"] is not None:
        writer.add_token_list(entries["tokens"])
        writer.add_token_scores([made.get(token, -1e6) for token in entries["tokens"]])
    if entries["types"] is not None:
        writer.add_token_types(entries["types"])
    if kind == "gpt2":
        writer.add_token_merges(merges)
    if tokenizer.bos_token_id is not None:
        writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_add_space_prefix(prefix)
    if entries["template"] is not None:
        writer.add_chat_template(entries["template"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


@contextlib.contextmanager
def gguf_tokenizer(path: Path) -> Iterator[LlamaTokenizer]:
    """The vocabulary of a GGUF file, through llama.cpp, as long as the context is open."""
    library = open_library()
    params = library.llama_model_default_params()
    params.vocab_only = True
    model = library.llama_model_load_from_file(str(path).encode(), params)
    assert model, f"llama.cpp does not load {path}"
    try:
        yield LlamaTokenizer(library, model)
    finally:
        library.llama_model_free(model)


def _type(token: str, *, special: bool, added: bool) -> int:
    if token == "<unk>":
        return int(TokenType.UNKNOWN)
    if special:
        return int(TokenType.CONTROL)
    if added:
        return int(TokenType.USER_DEFINED)
    return int(TokenType.BYTE if len(token) == 6 and token.startswith("<0x") else TokenType.NORMAL)
