"""Questions that an agent answers from memories."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Field

from aspen.memory_agent import AgentAnswer, Orchestration
from aspen.memory_graph import DEFAULT_PRESET
from aspen.server.asked import Body, InRoom, JsonRoute, Preset, Seed, Text, Tokens, Whole
from aspen.server.generating import Stop
from aspen.server.problems import responses

router = APIRouter(route_class=JsonRoute, tags=["chat"])


class Question(Body):
    """What is asked, and what the agent may spend on it."""

    question: Annotated[Text, Field(examples=["Where does my sister live?"])]
    orchestration: Annotated[Orchestration, Field(strict=False)] = Orchestration.TOOL
    limit: Annotated[Whole, Field(ge=1, le=100)] = 5
    preset: Preset = DEFAULT_PRESET
    seed: Seed | None = Field(default=None, description="Of the sampler; drawn where null.")
    max_tokens: Tokens = 160
    allow_writes: bool = False
    reinforce: bool = True


@router.post("/ask", responses=responses(404, 409, 413, 415))
async def ask(body: Question, request: Request, room: InRoom) -> AgentAnswer:
    """Let the model find what a question needs, step by step, and answer from it. It waits for its turn."""

    def answer(stop: Stop) -> AgentAnswer:
        return room.aspen.ask(
            body.question,
            orchestration=body.orchestration,
            limit=body.limit,
            preset=body.preset,
            seed=body.seed,
            max_tokens=body.max_tokens,
            allow_writes=body.allow_writes,
            reinforce=body.reinforce,
        )

    return await room.generations.result(request, answer)
