"""The part of the public C API of llama.cpp and ggml that Aspen calls, declared for ctypes.

Structs, functions and constants are those of llama.h and ggml.h in the version that is `TESTED`; names, types and
order are its own.
"""

from __future__ import annotations

import ctypes
from ctypes import (
    POINTER,
    Structure,
    c_bool,
    c_char_p,
    c_float,
    c_int8,
    c_int32,
    c_size_t,
    c_uint32,
    c_void_p,
)
from typing import Any

FLOAT32, FLOAT16 = 0, 1  # ggml_type
FLASH_ATTENTION = 1  # llama_flash_attn_type
ROPE_NORM, ROPE_NEOX = 0, 2  # llama_rope_type; norm turns dimension 2i with 2i+1
VOCAB_NONE, VOCAB_SENTENCEPIECE = 0, 1  # llama_vocab_type
ATTR_UNKNOWN, ATTR_CONTROL, ATTR_USER_DEFINED = 1, 8, 16  # llama_token_attr

EvalCallback = ctypes.CFUNCTYPE(c_bool, c_void_p, c_bool, c_void_p)
"""`ggml_backend_sched_eval_callback`: (tensor, ask, user data). Asked of each node of a graph, before it is computed,
whether its data is wanted; if so called again with it, and False then leaves out the rest of the graph."""
LogCallback = ctypes.CFUNCTYPE(None, ctypes.c_int, c_char_p, c_void_p)
ProgressCallback = ctypes.CFUNCTYPE(c_bool, c_float, c_void_p)
AbortCallback = ctypes.CFUNCTYPE(c_bool, c_void_p)
"""`ggml_abort_callback`: (user data). Asked before each node is computed whether the pass is to end there."""


class ModelParams(Structure):
    """`llama_model_params`."""

    _fields_ = (
        ("devices", c_void_p),
        ("tensor_buft_overrides", c_void_p),
        ("n_gpu_layers", c_int32),
        ("split_mode", c_int32),
        ("load_mode", c_int32),
        ("lazy_mode", c_int32),
        ("main_gpu", c_int32),
        ("tensor_split", c_void_p),
        ("progress_callback", c_void_p),
        ("progress_callback_user_data", c_void_p),
        ("kv_overrides", c_void_p),
        ("vocab_only", c_bool),
        ("check_tensors", c_bool),
        ("use_extra_bufts", c_bool),
        ("no_host", c_bool),
        ("no_alloc", c_bool),
        ("load_mtp", c_bool),
    )


class ContextParams(Structure):
    """`llama_context_params`."""

    _fields_ = (
        ("n_ctx", c_uint32),
        ("n_batch", c_uint32),
        ("n_ubatch", c_uint32),
        ("n_seq_max", c_uint32),
        ("n_rs_seq", c_uint32),
        ("n_outputs_max", c_uint32),
        ("n_outputs_max_per_seq", c_uint32),
        ("n_threads", c_int32),
        ("n_threads_batch", c_int32),
        ("ctx_type", c_int32),
        ("rope_scaling_type", c_int32),
        ("pooling_type", c_int32),
        ("attention_type", c_int32),
        ("flash_attn_type", c_int32),
        ("rope_freq_base", c_float),
        ("rope_freq_scale", c_float),
        ("yarn_ext_factor", c_float),
        ("yarn_attn_factor", c_float),
        ("yarn_beta_fast", c_float),
        ("yarn_beta_slow", c_float),
        ("yarn_orig_ctx", c_uint32),
        ("defrag_thold", c_float),
        ("cb_eval", c_void_p),
        ("cb_eval_user_data", c_void_p),
        ("type_k", c_int32),
        ("type_v", c_int32),
        ("moe_cache_size", c_size_t),
        ("abort_callback", c_void_p),
        ("abort_callback_data", c_void_p),
        ("embeddings", c_bool),
        ("offload_kqv", c_bool),
        ("no_perf", c_bool),
        ("op_offload", c_bool),
        ("swa_full", c_bool),
        ("kv_unified", c_bool),
        ("samplers", c_void_p),
        ("n_samplers", c_size_t),
        ("ctx_other", c_void_p),
    )


class Batch(Structure):
    """`llama_batch`."""

    _fields_ = (
        ("n_tokens", c_int32),
        ("token", POINTER(c_int32)),
        ("embd", POINTER(c_float)),
        ("pos", POINTER(c_int32)),
        ("n_seq_id", POINTER(c_int32)),
        ("seq_id", POINTER(POINTER(c_int32))),
        ("logits", POINTER(c_int8)),
    )


class InitParams(Structure):
    """`ggml_init_params`."""

    _fields_ = (("mem_size", c_size_t), ("mem_buffer", c_void_p), ("no_alloc", c_bool))


class Tensor(Structure):
    """The beginning of `ggml_tensor`, up to the tensors that it is computed from."""

    _fields_ = (
        ("type", c_int32),
        ("buffer", c_void_p),
        ("ne", ctypes.c_int64 * 4),  # elements of each dimension, the fastest first
        ("nb", c_size_t * 4),  # bytes from one element to the next
        ("op", c_int32),
        ("op_params", c_int32 * 16),
        ("flags", c_int32),
        ("src", c_void_p * 10),
    )


ToFloat = ctypes.CFUNCTYPE(None, c_char_p, POINTER(c_float), ctypes.c_int64)


class TypeTraits(Structure):
    """`ggml_type_traits`; `to_float` unpacks so many values, and is null for float32."""

    _fields_ = (
        ("type_name", c_char_p),
        ("blck_size", ctypes.c_int64),
        ("blck_size_interleave", ctypes.c_int64),
        ("type_size", c_size_t),
        ("is_quantized", c_bool),
        ("to_float", ToFloat),
        ("from_float_ref", c_void_p),
    )


MODEL_DEFAULTS = {
    "n_gpu_layers": -1,
    "split_mode": 1,
    "load_mode": -1,
    "lazy_mode": 1,
    "use_extra_bufts": True,
}
CONTEXT_DEFAULTS = {
    "n_ctx": 512,
    "n_batch": 2048,
    "n_ubatch": 512,
    "n_seq_max": 1,
    "n_outputs_max_per_seq": 1,
    "n_threads": 4,
    "n_threads_batch": 4,
    "rope_scaling_type": -1,
    "pooling_type": -1,
    "attention_type": -1,
    "flash_attn_type": -1,
    "yarn_ext_factor": -1.0,
    "yarn_attn_factor": -1.0,
    "yarn_beta_fast": -1.0,
    "yarn_beta_slow": -1.0,
    "defrag_thold": -1.0,
    "type_k": FLOAT16,
    "type_v": FLOAT16,
    "offload_kqv": True,
    "no_perf": True,
    "op_offload": True,
    "swa_full": True,
}
"""What the defaults are where the structs are the ones above; every field that is not named is 0."""

_MODEL, _CONTEXT, _VOCAB, _MEMORY = c_void_p, c_void_p, c_void_p, c_void_p
FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "llama_version": (c_char_p, ()),
    "llama_log_set": (None, (LogCallback, c_void_p)),
    "llama_backend_init": (None, ()),
    "ggml_backend_reg_count": (c_size_t, ()),
    "ggml_backend_load_all_from_path": (None, (c_char_p,)),
    "llama_print_system_info": (c_char_p, ()),
    "llama_model_default_params": (ModelParams, ()),
    "llama_context_default_params": (ContextParams, ()),
    "llama_model_load_from_file": (_MODEL, (c_char_p, ModelParams)),
    "llama_model_free": (None, (_MODEL,)),
    "llama_model_get_vocab": (_VOCAB, (_MODEL,)),
    "llama_model_n_ctx_train": (c_int32, (_MODEL,)),
    "llama_model_n_embd": (c_int32, (_MODEL,)),
    "llama_model_n_layer": (c_int32, (_MODEL,)),
    "llama_model_n_head": (c_int32, (_MODEL,)),
    "llama_model_n_head_kv": (c_int32, (_MODEL,)),
    "llama_model_n_swa": (c_int32, (_MODEL,)),
    "llama_model_rope_type": (c_int32, (_MODEL,)),
    "llama_model_chat_template": (c_char_p, (_MODEL, c_char_p)),
    "llama_vocab_type": (c_int32, (_VOCAB,)),
    "llama_vocab_n_tokens": (c_int32, (_VOCAB,)),
    "llama_vocab_get_text": (c_char_p, (_VOCAB, c_int32)),
    "llama_vocab_get_attr": (c_int32, (_VOCAB, c_int32)),
    "llama_vocab_is_eog": (c_bool, (_VOCAB, c_int32)),
    "llama_vocab_bos": (c_int32, (_VOCAB,)),
    "llama_vocab_eos": (c_int32, (_VOCAB,)),
    "llama_tokenize": (c_int32, (_VOCAB, c_char_p, c_int32, POINTER(c_int32), c_int32, c_bool, c_bool)),
    "llama_token_to_piece": (c_int32, (_VOCAB, c_int32, c_char_p, c_int32, c_int32, c_bool)),
    "llama_init_from_model": (_CONTEXT, (_MODEL, ContextParams)),
    "llama_free": (None, (_CONTEXT,)),
    "llama_set_abort_callback": (None, (_CONTEXT, AbortCallback, c_void_p)),
    "llama_decode": (c_int32, (_CONTEXT, Batch)),
    "llama_get_logits_ith": (POINTER(c_float), (_CONTEXT, c_int32)),
    "llama_get_memory": (_MEMORY, (_CONTEXT,)),
    "llama_memory_clear": (None, (_MEMORY, c_bool)),
    "llama_memory_seq_rm": (c_bool, (_MEMORY, c_int32, c_int32, c_int32)),
    "llama_memory_seq_cp": (None, (_MEMORY, c_int32, c_int32, c_int32, c_int32)),
    "llama_memory_seq_add": (None, (_MEMORY, c_int32, c_int32, c_int32, c_int32)),
    "llama_memory_can_shift": (c_bool, (_MEMORY,)),
    "llama_state_seq_get_size": (c_size_t, (_CONTEXT, c_int32)),
    "llama_state_seq_get_data": (c_size_t, (_CONTEXT, c_void_p, c_size_t, c_int32)),
    "llama_state_seq_set_data": (c_size_t, (_CONTEXT, c_void_p, c_size_t, c_int32)),
    "llama_batch_init": (Batch, (c_int32, c_int32, c_int32)),
    "llama_batch_free": (None, (Batch,)),
    "ggml_init": (c_void_p, (InitParams,)),
    "ggml_free": (None, (c_void_p,)),
    "ggml_new_tensor_2d": (c_void_p, (c_void_p, c_int32, ctypes.c_int64, ctypes.c_int64)),
    "ggml_scale": (c_void_p, (c_void_p, c_void_p, c_float)),
    "ggml_get_name": (c_char_p, (c_void_p,)),
    "ggml_op_desc": (c_char_p, (c_void_p,)),
    "ggml_get_type_traits": (POINTER(TypeTraits), (c_int32,)),
    "ggml_nbytes": (c_size_t, (c_void_p,)),
    "ggml_backend_tensor_get": (None, (c_void_p, c_void_p, c_size_t, c_size_t)),
}
