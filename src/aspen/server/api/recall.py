"""Recall: from a prompt to memories; and where activation goes from some memories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from aspen.memory_graph import DEFAULT_PRESET, PRESETS, SpreadingSettings, preset_settings
from aspen.server.asked import (
    Body,
    InRoom,
    JsonRoute,
    Kind,
    Name,
    Preset,
    Share,
    Store,
    Text,
    Type,
    When,
    Whole,
)
from aspen.server.problems import responses
from aspen.server.told import Listed
from aspen.types import Recall, Spread

router = APIRouter(route_class=JsonRoute, tags=["recall"])

Hops = Annotated[Whole, Field(ge=0, le=3)]
Decay = Annotated[float, Field(gt=0, le=1)]
Boost = Annotated[float, Field(ge=1, le=10)]
Boosts = dict[Type, Boost]
Few = Annotated[list[Name], Field(max_length=100)]


class Spreading(Body):
    """How activation spreads over relations; what is left out is as in the preset."""

    max_hops: Hops | None = None
    decay: Decay | None = None
    type_boost: Boosts | None = Field(default=None, description="Factors by type of memory.")
    min_weight: Share | None = None

    def changing(self, preset: str) -> SpreadingSettings:
        """The settings of a preset, with what is given here in their place."""
        given: dict[str, Any] = {name: value for name, value in self if value is not None}
        if self.type_boost is not None:
            given["type_boost"] = {kind.value: boost for kind, boost in self.type_boost.items()}
        return replace(preset_settings(preset), **given)


class RecallFor(Body):
    """What to recall for, and how."""

    prompt: Annotated[Text, Field(examples=["Who lives in Portugal?"])]
    limit: Annotated[Whole, Field(ge=1, le=1000)] = 10
    conversation: Name | None = Field(default=None, description="Search this conversation only.")
    preset: Preset = DEFAULT_PRESET
    spreading: Spreading | None = None
    use_spreading_activation: bool = True
    arms: Annotated[
        Few | None, Field(description="Arms and priors to run, by name; all that can where null.")
    ] = None
    types: Annotated[list[Type], Field(max_length=10)] | None = None
    tags: Few | None = None
    speaker: Name | None = None
    since: When | None = None
    until: When | None = None
    rerank: bool = Field(default=False, description="Read the first hits again together with the prompt.")
    explain: bool = Field(
        default=False, description="Tell the candidates of each arm, the fusion, and what spread in each hop."
    )


class SpreadFrom(Body):
    """Where activation starts, and how it spreads."""

    seeds: Annotated[
        dict[str, Annotated[float, Field(ge=0, le=1000)]],
        Field(min_length=1, max_length=1000, examples=[{"m_00000000000000000001": 1.0}]),
    ]
    max_hops: Hops = 2
    decay: Decay = 0.6
    type_boost: Boosts | None = None
    min_weight: Share = 0.0
    relation_types: Annotated[list[Kind], Field(max_length=20)] | None = None
    fan: Annotated[Whole, Field(ge=1, le=5000)] = 64
    top_k: Annotated[Whole, Field(ge=1, le=1000)] = 10
    frames: bool = Field(default=False, description="Tell what arrived in each hop.")


class ToldPreset(BaseModel):
    """A way to spread: what it is for, and its settings."""

    name: str
    when: str
    settings: SpreadingSettings


@router.get("/presets")
def presets() -> Listed[ToldPreset]:
    """The presets by which activation spreads."""
    return Listed(
        items=[
            ToldPreset(name=name, when=preset.when, settings=preset.settings)
            for name, preset in PRESETS.items()
        ]
    )


@router.post("/recall", responses=responses(404, 409, 413, 415))
def recall(body: RecallFor, room: InRoom) -> Recall:
    """The memories that resonate with a prompt, best first."""
    asked: dict[str, Any] = {name: value for name, value in body if name not in ("prompt", "spreading")}
    if body.spreading is not None:
        asked["spreading"] = body.spreading.changing(asked.pop("preset"))
    found = room.aspen.recall(body.prompt, **asked)
    room.note(found)
    return found


@router.post("/spread", responses=responses(404, 413, 415))
def spread(body: SpreadFrom, aspen: Store) -> Spread:
    """Where activation goes from some memories over their relations."""
    asked: Mapping[str, Any] = {name: value for name, value in body if name != "seeds"}
    return aspen.spread_activation(body.seeds, **asked)
