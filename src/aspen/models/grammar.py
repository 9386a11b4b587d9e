"""Constrained decoding: which tokens may come next so that a reply is JSON of a given schema.

A model of any size then writes valid tool calls, if it may write enough tokens to end them.
"""

from __future__ import annotations

import json
import threading
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aspen.errors import AspenError, InvalidInput, MissingDependency, ModelError
from aspen.models.interface import LanguageModel
from aspen.models.schema_bounds import bounded

if TYPE_CHECKING:
    from types import ModuleType

    from llguidance import LLMatcher

_INSTALL = "pip install 'aspen-memory[agent]'"
_KEPT = 64  # grammars of a model that are kept; each takes milliseconds to compile
#: No blanks between the parts of JSON, where small models loop; no \u escapes, which could spell control characters.
_OPTIONS = {"whitespace_flexible": False, "json_allowed_escapes": '"\\bfnrt'}
#: Where a tokenizer puts a blank before every text, the blank goes before this character, and both are cut off.
_EDGE = "\x02"


class JsonState:
    """A place in a text that follows a grammar. Not to be shared between threads."""

    def __init__(self, matcher: LLMatcher, *, vocab_size: int) -> None:
        self._matcher = matcher
        self._vocab_size = vocab_size
        self._bits = np.zeros(vocab_size // 32 + 1, dtype=np.int32)

    @property
    def is_complete(self) -> bool:
        """Whether the text is whole and nothing can follow it."""
        return self._matcher.is_stopped() and self._matcher.is_accepting()

    def allowed(self) -> NDArray[np.bool_]:
        """The tokens that may come next, bool [V]; stop tokens are among them where the text may end here.

        Where the schema leaves no choice of text, only the token that the model's tokenizer takes for it.
        Raises ModelError where the vocabulary has no token that goes on, or the grammar is too complex.
        """
        self._matcher.unsafe_compute_mask_ptr(self._bits.ctypes.data, self._bits.nbytes)
        self._check()
        flags = np.unpackbits(self._bits.view(np.uint8), count=self._vocab_size, bitorder="little")
        if not flags.any() and not self.is_complete:
            raise ModelError(
                "The model's vocabulary has no token that goes on as the schema wants.",
                hint="Take a schema without characters that the tokenizer cannot write.",
            )
        return flags.astype(np.bool_)

    def advance(self, token_id: int) -> None:
        """Put one token behind the text. Raises InvalidInput where it may not come next."""
        if self._matcher.try_consume_tokens([token_id]) == 0:
            self._check()
            raise InvalidInput(f"Token {token_id} may not come next in this grammar.", token=token_id)

    def _check(self) -> None:
        if self._matcher.is_error():
            raise ModelError(
                f"The reply can be held to the schema no longer: {_first_line(self._matcher.get_error())}.",
                hint="Take a simpler schema: fewer patterns, lower limits.",
            )


class JsonGrammar:
    """JSON that a schema admits, in the tokens of one vocabulary. Immutable, to be shared freely.

    Made by `json_grammar`. `schema` is the one that replies follow: the schema asked for, with bounds
    (`aspen.models.schema_bounds`). `vocab_size` is that of the model.
    """

    def __init__(self, matcher: LLMatcher, *, schema: dict[str, Any], vocab_size: int) -> None:
        self._matcher = matcher
        self.schema = schema
        self.vocab_size = vocab_size

    def start(self) -> JsonState:
        """The beginning of a new text."""
        return JsonState(self._matcher.deep_copy(), vocab_size=self.vocab_size)


def json_grammar(model: LanguageModel, schema: Mapping[str, Any]) -> JsonGrammar:
    """The grammar of a JSON schema for a model's vocabulary: compact JSON, properties in the schema's order.

    The first call for a model takes some tenths of a second, the first for a schema milliseconds; then it is kept.
    Raises InvalidInput where the schema is none or uses keywords that cannot be followed (`not`, `if`,
    `uniqueItems`, `oneOf` with overlapping branches and others), MissingDependency without the package llguidance,
    ModelError where the bytes of the model's tokens cannot be told.
    """
    library = _library()
    with _lock:
        compiler = _compilers.get(model)
        if compiler is None:
            compiler = _compilers[model] = _Compiler(library, model)
        return compiler.compile(schema)


_compilers: weakref.WeakKeyDictionary[LanguageModel, _Compiler] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


class _Compiler:
    """Compiles schemas for one model, and keeps the grammars used last."""

    def __init__(self, library: ModuleType, model: LanguageModel) -> None:
        self._library = library
        self._vocab_size = model.info.vocab_size
        self._grammars: OrderedDict[str, JsonGrammar] = OrderedDict()
        speller = _Speller(model)
        self._tokenizer = library.LLTokenizer(
            library.TokenizerWrapper(speller),
            n_vocab=len(speller.tokens),
            eos_token=[speller.eos_token_id, *sorted(model.info.stop_ids)],
            slices=library.LLTokenizer.json_slices(),
        )

    def compile(self, schema: Mapping[str, Any]) -> JsonGrammar:
        """See `json_grammar`."""
        key = _as_json(schema)
        grammar = self._grammars.pop(key, None) or self._compiled(json.loads(key))
        self._grammars[key] = grammar
        if len(self._grammars) > _KEPT:
            self._grammars.popitem(last=False)
        return grammar

    def _compiled(self, schema: dict[str, Any]) -> JsonGrammar:
        schema.pop("x-guidance", None)  # options of llguidance's compiler, that would weaken ours
        self._matcher(schema)  # what is wrong with it is said of the schema as it was given
        narrowed = bounded(schema)
        return JsonGrammar(self._matcher(narrowed), schema=narrowed, vocab_size=self._vocab_size)

    def _matcher(self, schema: dict[str, Any]) -> LLMatcher:
        matcher_type = self._library.LLMatcher
        grammar = matcher_type.grammar_from_json_schema(schema, overrides=_OPTIONS)
        matcher: LLMatcher = matcher_type(self._tokenizer, grammar, log_level=0)
        if matcher.is_error():
            reason = _first_line(matcher.get_error())
            raise InvalidInput(f"The schema cannot be followed while decoding: {reason}.", reason=reason)
        return matcher


class _Speller:
    """A model's vocabulary as llguidance wants to see it: tokens as bytes, and the tokenizer.

    Behind the model's own tokens comes one that stands for the end of the text, for models without a stop token.
    """

    bos_token_id = None

    def __init__(self, model: LanguageModel) -> None:
        # A stop token ends the reply, so it can be no part of its text.
        self.tokens = [*model.vocabulary(), b""]
        for i in model.info.stop_ids:
            self.tokens[i] = b""
        self.eos_token_id = len(self.tokens) - 1
        self.special_token_ids = [i for i, token in enumerate(self.tokens) if not token]
        self._model = weakref.ref(model)  # the model is the key under which this is kept

    def __call__(self, text: bytes) -> list[int]:
        """Tokens of a text, as the model's own tokenizer makes them where their bytes are the text's."""
        try:
            whole = text.decode()
        except UnicodeDecodeError:
            return self._greedy(text)
        ids = self._tokenize(whole)
        if self._spelt(ids) == text:
            return ids
        ids = self._tokenize(_EDGE + whole)
        edge = next((place for place, i in enumerate(ids) if self.tokens[i] == _EDGE.encode()), len(ids))
        if self._spelt(ids[edge + 1 :]) == text:
            return ids[edge + 1 :]
        return self._greedy(text)

    def _spelt(self, ids: list[int]) -> bytes:
        return b"".join(self.tokens[i] for i in ids)

    def _tokenize(self, text: str) -> list[int]:
        model = self._model()
        try:
            return [] if model is None else [int(i) for i in model.tokenize(text)]
        except AspenError:  # it would have made a control token of this text
            return []

    def _greedy(self, text: bytes) -> list[int]:
        """The longest token at each place; the end, which no reply holds, where no token has the next byte."""
        ids: list[int] = []
        at = 0
        while at < len(text):
            stops = range(min(len(text), at + self._longest), at, -1)
            stop = next((stop for stop in stops if text[at:stop] in self._ids), at)
            if stop == at:
                return [*ids, self.eos_token_id]
            ids.append(self._ids[text[at:stop]])
            at = stop
        return ids

    @cached_property
    def _ids(self) -> dict[bytes, int]:
        return {token: i for i, token in enumerate(self.tokens) if token}

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self.tokens))


def _as_json(schema: Mapping[str, Any]) -> str:
    if not isinstance(schema, Mapping):
        raise InvalidInput(f"A JSON schema is an object, not {type(schema).__name__}.")
    try:
        return json.dumps(dict(schema), allow_nan=False)  # the order of keys counts: replies keep it
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"The schema cannot be written as JSON: {error}.") from error


def _first_line(message: str) -> str:
    return message.strip().partition("\n")[0].rstrip(".")


def _library() -> ModuleType:
    try:
        import llguidance  # noqa: PLC0415 - an optional package
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "llguidance":
            raise
        raise MissingDependency(
            "Holding a reply to a schema needs the package llguidance, which is not installed.",
            hint=f"Install it with: {_INSTALL}",
            package="llguidance",
        ) from error
    return llguidance
