"""Jobs that look after a store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import Field, TypeAdapter

from aspen.doctor import examine
from aspen.server.asked import Body, InRoom, JsonRoute, Whole, optional
from aspen.server.jobs import Job, Progress
from aspen.server.problems import responses

router = APIRouter(route_class=JsonRoute, tags=["upkeep"])
_ANYTHING: TypeAdapter[Any] = TypeAdapter(Any)


class Summarising(Body):
    """How patterns are looked for."""

    use_model: bool = Field(
        default=True, description="Let the model write the sentence; it is quoted otherwise."
    )
    limit: Annotated[Whole, Field(ge=1, le=10_000, description="Most memories looked at, the newest.")] = 5000
    dry_run: bool = Field(default=False, description="Only tell what would change.")


class Rekeying(Body):
    """Nothing can be chosen yet."""


class Examination(Body):
    """How closely the doctor looks."""

    deep: bool = Field(
        default=False, description="Compare the model with the store's keys, and read all traces."
    )


@router.post("/summarise", status_code=202, responses=responses(409, 413, 415))
async def summarise(
    body: Annotated[Summarising, optional(Summarising)], room: InRoom, response: Response
) -> Job:
    """Find what recurs, and keep a pattern memory of each."""

    def work(progress: Progress) -> Mapping[str, Any]:
        found = room.aspen.summarise(
            use_model=body.use_model,
            limit=body.limit,
            dry_run=body.dry_run,
            progress=lambda done, total: progress.report(done, total=total),
        )
        return {"summaries": _ANYTHING.dump_python(found, mode="json")}

    return _accepted(room.jobs.start("summarise", work, unit="patterns"), response)


@router.post("/rekey", status_code=202, responses=responses(409, 413, 415))
async def rekey(body: Annotated[Rekeying, optional(Rekeying)], room: InRoom, response: Response) -> Job:
    """Make all keys anew with the model in use. Recall goes on with those that there are."""

    def work(progress: Progress) -> Mapping[str, Any]:
        total = room.stats().memories
        keys = room.aspen.rekey(progress=lambda done: progress.report(done, total=total))
        return {"keys": keys, "model": room.aspen.model.info.name}

    return _accepted(room.jobs.start("rekey", work, unit="memories"), response)


@router.post("/doctor", status_code=202, responses=responses(413, 415))
async def doctor(
    body: Annotated[Examination, optional(Examination)], room: InRoom, response: Response
) -> Job:
    """Look for what is wrong with the installation and the store; each finding says what to do."""

    def work(progress: Progress) -> Mapping[str, Any]:
        aspen = room.aspen
        findings = examine(
            aspen.repository,
            config=aspen.config,
            deep=body.deep,
            model=aspen.model if body.deep else None,
            notify=lambda message: progress.report(0, message=message),
        )
        progress.report(len(findings), total=len(findings))
        return {"findings": _ANYTHING.dump_python(findings, mode="json")}

    return _accepted(room.jobs.start("doctor", work, unit="parts"), response)


def _accepted(job: Job, response: Response) -> Job:
    response.headers["Location"] = f"/api/v1/jobs/{job.id}"
    return job
