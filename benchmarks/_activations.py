"""A data set's activations, exact, and its questions asked of them in any coding: the model runs once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any
from unittest import mock

import numpy as np
from benchmarks._codings import Coding, OtherKeys, like
from benchmarks._prefilter import PrefilteredIndex

from aspen import Aspen
from aspen.activation_db import (
    Calibration,
    EncodedText,
    HeadSet,
    KeyCode,
    KeyEncoder,
    KeyRecipe,
    PromptHeads,
    calibration_text,
    head_match,
    load_calibration,
    recipe_for,
)
from aspen.activation_db.head_keys import encode_head_keys
from aspen.benchmarks.interface import Dataset
from aspen.items import memory_id
from aspen.repository import KeyStamp, NewMemory, Postings, Repository
from aspen.resonance_search import ModelKeys, Query, ResonanceSearch, held
from aspen.resonance_search import heads as heads_arm
from aspen.types import FloatArray, Memory

DEPTH = 10
"""Hits of each question."""


@dataclass(frozen=True)
class Corpus:
    """A data set in a store, and what the model computed of it.

    pooled: [n, K, D]; head_keys: by memory [n_key_heads, T - 1, head_dim], without the first token, whose key no coding
    keeps; turns: the same of the calibration text; prompts: of the questions.
    """

    dataset: Dataset
    repository: Repository
    stamp: KeyStamp
    recipe: KeyRecipe
    calibration: Calibration
    memories: Sequence[Memory]
    traits: Sequence[Mapping[str, float]]
    pooled: FloatArray
    head_keys: Sequence[FloatArray]
    prompts: Sequence[Query]
    turns: Sequence[FloatArray]

    @property
    def heads(self) -> HeadSet:
        """The heads; the bundled model has some."""
        assert self.calibration.heads is not None
        return self.calibration.heads

    @property
    def groups(self) -> list[str]:
        """Of each question its conversation, "" where there are none."""
        return [question.group for question in self.dataset.questions]

    @cached_property
    def postings(self) -> Callable[[Sequence[str]], Sequence[Postings]]:
        """The repository's, each prompt's looked up once."""
        known = cache(self.repository.postings)
        return lambda terms: known(tuple(terms))


def corpus_of(dataset: Dataset, aspen: Aspen, *, turns: int | None = None) -> Corpus:
    """Write the data set, and run the model over it and `turns` of the calibration text (None: all), once."""
    recipe = recipe_for(aspen.model.info)
    calibration = load_calibration(aspen.model, recipe=recipe, cache_dir=aspen.config.cache_dir)
    assert calibration.heads is not None
    heads = plain_heads(calibration.heads)
    exact = replace(calibration, key_code=plain_keys(recipe), heads=heads)
    encoder = KeyEncoder(aspen.model, recipe=recipe, calibration=exact)
    engine = replace(aspen.engine, encoder=encoder)
    engine.claim_store()
    new = engine.encode(list({memory_id(item): item for item in dataset.items}.items()))
    asked = [encoder.encode_query(question.text)[0] for question in dataset.questions]
    return Corpus(
        dataset,
        engine.repository,
        engine.stamp,
        recipe,
        calibration,
        engine.repository.add(new, stamp=engine.stamp),
        [one.traits for one in new],
        np.stack([np.frombuffer(one.key, dtype="<f4").reshape(-1, recipe.width) for one in new]),
        [_head_keys(one, heads) for one in new],
        [
            Query(question.text, one.pooled, one.heads)
            for question, one in zip(dataset.questions, asked, strict=True)
        ],
        [_head_keys(one, heads) for one in encoder.encode(calibration_text()[0][:turns])],
    )


def plain_keys(recipe: KeyRecipe, kind: type[Coding] = Coding, **more: Any) -> KeyCode:
    """Keys of which each layer is coded as it is; float32 by default."""
    return OtherKeys((like(kind, recipe.width, **more),) * len(recipe.layers))


def plain_heads(heads: HeadSet, kind: type[Coding] = Coding, **more: Any) -> HeadSet:
    """Head keys that are coded as they are; float32 by default."""
    return replace(heads, codes=(like(kind, heads.head_dim, **more),) * heads.n_key_heads)


def _head_keys(encoded: NewMemory | EncodedText, exact: HeadSet) -> FloatArray:
    assert encoded.head_keys is not None
    values = np.frombuffer(encoded.head_keys, dtype=np.uint8)[exact.head_size :].view("<f4")
    keys: FloatArray = values.reshape(-1, exact.n_key_heads, exact.head_dim).transpose(1, 0, 2)
    return keys


def encoded_head_keys(corpus: Corpus, heads: HeadSet) -> list[bytes]:
    """The head keys of all memories in the codes of `heads`."""
    first = ((0, 0), (1, 0), (0, 0))
    return [encode_head_keys(np.pad(keys, first), heads=heads) for keys in corpus.head_keys]


class KnownMatches:
    """`head_match`, computed once for each prompt and memory: codings of keys lead to much the same shortlists."""

    def __init__(self) -> None:
        self._known: dict[int, dict[bytes, FloatArray]] = {}

    def __call__(self, prompt: PromptHeads, bodies: Sequence[bytes], *, heads: HeadSet) -> FloatArray:
        known = self._known.setdefault(id(prompt), {})
        new = [body for body in bodies if body not in known]
        known.update(zip(new, head_match(prompt, new, heads=heads), strict=True))
        return np.stack([known[body] for body in bodies])


def found_with(
    corpus: Corpus,
    name: str,
    code: KeyCode,
    heads: HeadSet,
    bodies: Sequence[bytes],
    *,
    arms: Mapping[str, Sequence[str] | None],
    matches: KnownMatches | None = None,
) -> dict[str, list[list[str]]]:
    """The sources of the best hits of each question, by name of the arms that are asked (None: all, and spreading).

    Keys are written in `code`, under `name`; `bodies` are head keys in the codes of `heads`; `matches` are of the same.
    """
    stamp = replace(corpus.stamp, key_version=f"benchmark {name}")
    seqs = [memory.seq for memory in corpus.memories]
    corpus.repository.add_keys(
        stamp,
        dict(zip(seqs, map(code.encode, corpus.pooled), strict=True)),
        head_keys=dict(zip(seqs, bodies, strict=True)),
        traits=dict(zip(seqs, corpus.traits, strict=True)),
    )
    corpus.repository.activate(stamp)
    calibration = replace(corpus.calibration, key_code=code, heads=heads)
    search = ResonanceSearch(corpus.repository, keys=ModelKeys(stamp, corpus.recipe, calibration))
    sources = {memory.seq: memory.source or "" for memory in corpus.memories}
    found: dict[str, list[list[str]]] = {arm: [] for arm in arms}
    with _replaced(corpus, matches):
        for question, prompt in zip(corpus.dataset.questions, corpus.prompts, strict=True):
            for arm, chosen in arms.items():
                result = search.search(
                    prompt,
                    limit=DEPTH,
                    conversation=question.group or None,
                    arms=chosen,
                    spread=chosen is None,
                )
                found[arm].append([sources[int(result.seqs[hit.row])] for hit in result.ranked])
    return found


@contextmanager
def _replaced(corpus: Corpus, matches: KnownMatches | None) -> Iterator[None]:
    """The product's search, with an index that knows prefiltered keys, and with what is known beforehand."""
    with (
        mock.patch.object(held, "KeyIndex", PrefilteredIndex),
        mock.patch.object(heads_arm, "head_match", matches or head_match),
        mock.patch.object(corpus.repository, "postings", corpus.postings),
    ):
        yield
