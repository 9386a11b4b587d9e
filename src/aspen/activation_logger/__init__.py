"""Captures activations and attention while a language model runs, and makes a trace of them."""

from aspen.activation_logger.attention import segment_tokens
from aspen.activation_logger.recorder import Recording, record
from aspen.activation_logger.trace import build_trace, name_spans, new_trace_id

__all__ = ["Recording", "build_trace", "name_spans", "new_trace_id", "record", "segment_tokens"]
