"""Jobs: what takes longer than a request."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from fastapi import APIRouter, Response

from aspen.server import events
from aspen.server.asked import Id, InRoom, JsonRoute
from aspen.server.jobs import Job
from aspen.server.problems import responses
from aspen.server.told import Listed

router = APIRouter(route_class=JsonRoute, tags=["jobs"])

_EVENTS = {
    "description": "Events `job`, each with the job as it is then.",
    "content": events.content({"job": "the job as it is then"}),
}


@router.get("/jobs")
async def jobs(room: InRoom) -> Listed[Job]:
    """Jobs of this server, newest first."""
    return Listed(items=room.jobs.listed())


@router.get("/jobs/{job_id}", responses=responses(404))
async def job(job_id: Id, room: InRoom) -> Job:
    """How far a job is."""
    return room.jobs.get(job_id)


@router.delete("/jobs/{job_id}", responses=responses(404, 409))
async def cancel(job_id: Id, room: InRoom) -> Job:
    """Cancel a job: it ends at its next step, and what it has stored until then stays. 409 where it has ended."""
    return room.jobs.cancel(job_id)


@router.get("/jobs/{job_id}/events", response_class=Response, responses={200: _EVENTS, **responses(404)})
async def job_events(job_id: Id, room: InRoom) -> Response:
    """A job as it goes on, until it ends."""
    room.jobs.get(job_id)  # NotFound before the response begins

    async def told() -> AsyncGenerator[bytes, None]:
        async for now in room.jobs.watch(job_id):
            yield events.event("job", now)

    return events.stream(told())
