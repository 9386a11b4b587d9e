"""How the server, its store and its model are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from aspen import __version__
from aspen.repository import KeyStamp
from aspen.server.asked import InRoom, JsonRoute, Store
from aspen.server.jobs import JobState
from aspen.server.room import ModelState, Room, SlowRecall

router = APIRouter(route_class=JsonRoute, tags=["health"])


class StoreHealth(BaseModel):
    """Where the store lies, whether it can be written, and how much it holds; `bytes` by part."""

    location: str
    writable: bool
    revision: int
    memories: int
    traces: int
    edges: int
    conversations: int
    bytes: Mapping[str, int]


class ModelHealth(BaseModel):
    """The model: whether it is loaded; what it is, once it is."""

    state: ModelState
    asked_for: str
    name: str | None
    architecture: str | None
    layers: int | None
    context_length: int | None
    device: str | None
    dtype: str | None
    problem: dict[str, Any] | None


class KeyHealth(BaseModel):
    """Whose keys the store holds. `fits` is whether the model in use can search by them; null before it is loaded."""

    model_id: str
    model_name: str
    key_version: str
    fits: bool | None


class IndexHealth(BaseModel):
    """What a recall searches: every key, exactly. `key_bytes` is what all of them take.

    `arms` are the arms and priors that a recall runs: "vector" among them where an embedder was given. Null before the
    model is loaded.
    """

    kind: str
    memories: int
    key_bytes: int
    arms: list[str] | None


class Health(BaseModel):
    """The state of a server."""

    version: str
    store: StoreHealth
    model: ModelHealth
    keys: KeyHealth | None = Field(description="null while the store is new.")
    index: IndexHealth
    generations: int = Field(description="Replies that are written, or wait for their turn.")
    jobs: dict[JobState, int]
    slow_recalls: list[SlowRecall] = Field(
        description="The last ones that took a second or longer, newest first."
    )


class Alive(BaseModel):
    """The server answers."""

    alive: bool


@router.get("/live", openapi_extra={"security": []})
async def live() -> Alive:
    """Whether the server answers. Needs no token, and tells nothing."""
    return Alive(alive=True)


@router.get("/health")
def health(room: InRoom, aspen: Store) -> Health:
    """Sizes and states, for people."""
    stats, repository, stamp = room.stats(), aspen.repository, aspen.repository.stamp()
    key_bytes = stats.bytes.get("keys", 0)
    return Health(
        version=__version__,
        store=StoreHealth(
            location=repository.location,
            writable=repository.writable,
            revision=repository.revision(),
            memories=stats.memories,
            traces=stats.traces,
            edges=stats.edges,
            conversations=stats.conversations,
            bytes=stats.bytes,
        ),
        model=_model(room),
        keys=_keys(room, stamp) if stamp else None,
        index=IndexHealth(
            kind="exact",
            memories=stats.memories,
            key_bytes=key_bytes,
            arms=list(room.aspen.engine.search.arm_names) if room.model_state == "ready" else None,
        ),
        generations=room.generations.under_way,
        jobs=dict(Counter(job.state for job in room.jobs.listed())),
        slow_recalls=room.slow_recalls,
    )


def _model(room: Room) -> ModelHealth:
    config = room.aspen.config
    # Asked for only where it is there: a look at the health must not wait for a model.
    model = room.aspen.model if room.model_state == "ready" else None
    info = model.info if model else None
    fingerprint = model.fingerprint if model else None
    return ModelHealth(
        state=room.model_state,
        asked_for=config.model,
        name=info.name if info else None,
        architecture=info.architecture if info else None,
        layers=info.n_layers if info else None,
        context_length=info.context_length if info else None,
        device=fingerprint.device if fingerprint else None,
        dtype=fingerprint.dtype if fingerprint else None,
        problem=room.model_problem,
    )


def _keys(room: Room, stamp: KeyStamp) -> KeyHealth:
    ready = room.model_state == "ready"
    return KeyHealth(
        model_id=stamp.model_id,
        model_name=stamp.model_name,
        key_version=stamp.key_version,
        fits=room.aspen.engine.stamp.identity == stamp.identity if ready else None,
    )
