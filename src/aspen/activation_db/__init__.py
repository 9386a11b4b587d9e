"""Activations at rest: keys to search by, the whitening that makes them comparable, and traces."""

from aspen.activation_db.calibration import Calibration, load_calibration
from aspen.activation_db.codec import decode_trace, encode_trace
from aspen.activation_db.encoder import EncodedPrompt, EncodedText, KeyEncoder
from aspen.activation_db.fitting import StoreFit
from aspen.activation_db.head_keys import head_match
from aspen.activation_db.head_set import HeadSet, PromptHeads
from aspen.activation_db.index import KeyIndex
from aspen.activation_db.keys import KeyRecipe, decode_keys, encode_key, recipe_for
from aspen.activation_db.whitening import KeySpace

__all__ = [
    "Calibration",
    "EncodedPrompt",
    "EncodedText",
    "HeadSet",
    "KeyEncoder",
    "KeyIndex",
    "KeyRecipe",
    "KeySpace",
    "PromptHeads",
    "StoreFit",
    "decode_keys",
    "decode_trace",
    "encode_key",
    "encode_trace",
    "head_match",
    "load_calibration",
    "recipe_for",
]
