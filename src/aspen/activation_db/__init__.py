"""Activations at rest: keys to search by, the whitening that makes them comparable, and traces."""

from aspen.activation_db.calibration import (
    Calibration,
    calibration_text,
    known_calibration,
    load_calibration,
)
from aspen.activation_db.capture import capture_pooled, captures
from aspen.activation_db.codec import decode_trace, encode_trace
from aspen.activation_db.encoder import EncodedPrompt, EncodedText, KeyEncoder
from aspen.activation_db.fitting import StoreFit
from aspen.activation_db.fragment_code import (
    FragmentLevel,
    FragmentOrigin,
    decode_fragment,
    encode_fragment,
)
from aspen.activation_db.head_keys import head_match
from aspen.activation_db.head_set import HeadSet, PromptHeads
from aspen.activation_db.index import KeyIndex
from aspen.activation_db.key_code import KeyCode
from aspen.activation_db.key_version import KeyVersion
from aspen.activation_db.keys import MAX_KEY_TOKENS, KeyRecipe, recipe_for
from aspen.activation_db.vectors import decode_vectors, encode_vector
from aspen.activation_db.whitening import KeySpace

__all__ = [
    "MAX_KEY_TOKENS",
    "Calibration",
    "EncodedPrompt",
    "EncodedText",
    "FragmentLevel",
    "FragmentOrigin",
    "HeadSet",
    "KeyCode",
    "KeyEncoder",
    "KeyIndex",
    "KeyRecipe",
    "KeySpace",
    "KeyVersion",
    "PromptHeads",
    "StoreFit",
    "calibration_text",
    "capture_pooled",
    "captures",
    "decode_fragment",
    "decode_trace",
    "decode_vectors",
    "encode_fragment",
    "encode_trace",
    "encode_vector",
    "head_match",
    "known_calibration",
    "load_calibration",
    "recipe_for",
]
