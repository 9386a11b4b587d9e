"""Recall: from a prompt to the memories that resonate with it."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from aspen.engine.reranker import rerank_hits
from aspen.errors import InvalidInput
from aspen.front_door.base import FrontDoor
from aspen.hits import explanation_of, hits_of
from aspen.memory_graph import CARRYING, DEFAULT_PRESET, SpreadingSettings, preset_settings
from aspen.resonance_search import NEED_A_MODEL, NEED_A_PASS, Filters, Query, ResonanceSearch
from aspen.resonance_search.reranking import DEPTH
from aspen.types import Memory, MemoryType, Provenance, Recall, RelationType
from aspen.validation import (
    check_choices,
    check_collection,
    check_count,
    check_kind,
    check_name,
    check_text,
    check_time,
)

_Choice = TypeVar("_Choice", bound=StrEnum)


class Recalling(FrontDoor):
    """What searches the store."""

    def recall(
        self,
        prompt: str,
        *,
        limit: int = 10,
        conversation: str | None = None,
        use_spreading_activation: bool = True,
        preset: str = DEFAULT_PRESET,
        spreading: SpreadingSettings | None = None,
        arms: Collection[str] | None = None,
        types: Collection[MemoryType | str] | None = None,
        tags: Collection[str] | None = None,
        speaker: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        provenances: Collection[Provenance | str] | None = None,
        exclude: Collection[Memory] = (),
        rerank: bool = False,
        asked_at: datetime | None = None,
        explain: bool = False,
    ) -> Recall:
        """The memories that resonate with `prompt`, best first.

        InvalidInput for an arm that there is not, and for priors without an arm; NotFound for a conversation without
        memories. Where the store's keys are another model's, recall goes by words alone and says so in `Recall.arms`;
        asked for "activation" or "heads" by name, it raises ModelMismatch.

        Parameters
        ----------
        limit:
            Most hits, in [1, 10,000].
        conversation:
            Search this conversation only.
        use_spreading_activation:
            Let activation spread to the turns around what was found, over the names in it, and over the relations that
            lead from it to other memories.
        preset:
            How it spreads over relations: "balanced", "factual", "character", "creative", "debugging" or "project"; see
            `aspen.memory_graph.PRESETS`.
        spreading:
            Settings of your own in place of a preset's: all of them, also its boosts by type of memory. To change a
            preset, `dataclasses.replace(preset_settings("character"), decay=0.5)`. Where `relation_types` is None, the
            relations that lead on carry (`aspen.memory_graph.CARRYING`). InvalidInput beside another preset.
        arms:
            Names of the arms ("activation", "keyword", "heads", "vector") and priors ("subject", "dates", "traits")
            to run; all that can run, where None.
        types, tags, speaker, since, until, provenances:
            Return memories of one of these types, with one of these tags, of this speaker, said at `since` or later and
            before `until` (in UTC where they have no zone), of one of these provenances only. The others still pass
            activation on.
        exclude:
            Memories not to return, such as those that stand in the prompt already.
        rerank:
            Read the first hits again together with the prompt, unless the first is clear, and order them by what the
            model then attends to: better hits for a second pass of some hundred milliseconds. For a model that Aspen
            does not know, weights are learned at the first use, which takes minutes. ModelError where the model's
            heads cannot be told apart.
        asked_at:
            When the prompt was asked, which "last week" counts from, in its own time zone (UTC where it has none);
            now, in the local one, where None.
        explain:
            Tell how the hits came about: what each arm says of them and of its own best, what was added to what, and
            hop by hop over which edges activation came (`Recall.explanation`). The hits are the same.
        """
        check_text(prompt, what="prompt")
        check_count(limit, what="limit")
        check_name(conversation, what="conversation")
        if arms is not None:
            check_collection(arms, what="arms")
        settings = _settings(preset, spreading)
        filters = Filters(
            types=_chosen(types, MemoryType, what="type"),
            tags=None
            if tags is None
            else [check_text(tag, what="tag") for tag in check_collection(tags, what="tags")],
            provenances=_chosen(provenances, Provenance, what="provenance"),
            speaker=check_name(speaker, what="speaker"),
            since=check_time(since, what="since"),
            until=check_time(until, what="until"),
            exclude=[memory.seq for memory in exclude],
        )
        query, partial_pass = Query.asked(prompt, at=asked_at), None
        search = self._search(arms)  # may load the model, which is no part of a recall's time
        reranker = self.reranker if rerank else None
        started = time.perf_counter()
        if arms is None or not NEED_A_PASS.isdisjoint(arms):
            encoded, partial_pass = self.engine.encoder.encode_query(prompt)
            query = replace(query, pooled=encoded.pooled, heads=encoded.heads)
        result = search.search(
            query,
            limit=max(limit, DEPTH) if reranker else limit,
            conversation=conversation,
            spread=use_spreading_activation,
            arms=arms,
            filters=filters,
            spreading=settings,
            explain=explain,
        )
        if reranker:
            result = rerank_hits(reranker, prompt, result, repository=self.repository, limit=limit)
        hits = hits_of(result, repository=self.repository, spreading=settings)
        seconds = time.perf_counter() - started  # an explanation is no part of a recall's time
        return Recall(
            prompt=prompt,
            hits=hits,
            familiarity=result.overall_familiarity,
            candidates=result.searched,
            arms=result.arms,
            partial_pass=partial_pass,
            seconds=seconds,
            truncated=result.truncated,
            explanation=explanation_of(result, repository=self.repository, spreading=settings),
        )

    def _search(self, arms: Collection[str] | None) -> ResonanceSearch:
        """The search with the model's keys; one by words alone where no more is asked and it is not loaded yet."""
        if self._engine is None and arms is not None and NEED_A_MODEL.isdisjoint(arms):
            return self._by_words
        return self.engine.search


def _settings(preset: str, spreading: SpreadingSettings | None) -> SpreadingSettings:
    """Those of the preset, or the caller's own in their place."""
    if spreading is None:
        return preset_settings(preset)
    check_kind(spreading, SpreadingSettings, what="spreading")
    if preset != DEFAULT_PRESET:
        raise InvalidInput(
            f"A recall takes settings of spreading or the preset {preset!r}, not both.",
            hint="To change a preset, replace fields of `preset_settings(...)` and pass that as `spreading`.",
        )
    check_choices(list(spreading.type_boost), MemoryType, what="type")
    if spreading.relation_types is None:
        return replace(spreading, relation_types=CARRYING)
    check_choices(spreading.relation_types, RelationType, what="relation")
    return spreading


def _chosen(
    names: Collection[_Choice | str] | None, choices: type[_Choice], *, what: str
) -> list[_Choice] | None:
    """The members of `choices` that `names` names; None for None."""
    return None if names is None else check_choices(names, choices, what=what)
