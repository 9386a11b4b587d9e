"""The command `ask`: an agent finds the memories that a question needs, and answers from them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated

import typer

from aspen.cli._options import (
    DeviceOption,
    JsonOption,
    ModelOption,
    StoreOption,
    from_stdin,
    notices,
    open_aspen,
    settings_for,
)
from aspen.cli._recalled import memories_on_paths, put_path
from aspen.cli._screen import as_data, date_of, one_line, put, put_json, say
from aspen.errors import InvalidInput
from aspen.memory_agent import AgentAnswer, AgentStep, EndpointAgentModel, Evidence, Orchestration
from aspen.memory_graph import DEFAULT_PRESET, PRESETS
from aspen.types import Memory


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(ask)


def ask(
    context: typer.Context,
    *,
    question: Annotated[
        str,
        typer.Argument(metavar="QUESTION", help='What to ask; "-" reads it from standard input.'),
    ],
    orchestration: Annotated[
        Orchestration,
        typer.Option(
            "--orchestration",
            help="Who lets activation spread: a tool, the model by reading relations (prompt), or the search itself "
            "(repository).",
        ),
    ] = Orchestration.TOOL,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", help="Most memories to answer from, up to 50.")
    ] = 5,
    preset: Annotated[
        str,
        typer.Option(
            "--preset", metavar="NAME", help=f"How activation spreads over relations: {', '.join(PRESETS)}."
        ),
    ] = DEFAULT_PRESET,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", help="Seed of the sampler; drawn where not given.")
    ] = None,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", metavar="N", help="Most tokens of the answer.")
    ] = 160,
    allow_writes: Annotated[
        bool, typer.Option("--allow-writes", help="Let the model store what it concludes, as inferred.")
    ] = False,
    endpoint: Annotated[
        str | None,
        typer.Option(
            "--endpoint",
            metavar="URL",
            help="An OpenAI-compatible endpoint whose model takes the place of the store's own for calls and answer. "
            "What is found of the memories is sent to this URL, with the key in $ASPEN_ENDPOINT_KEY, if any.",
        ),
    ] = None,
    endpoint_model: Annotated[
        str | None,
        typer.Option("--endpoint-model", metavar="NAME", help="Name of the model, as the endpoint knows it."),
    ] = None,
    store: StoreOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer a question from memories, and show which ones.

    A model searches, follows what it finds to the beliefs behind it, and answers. Where it does not get through these
    steps, a plan finishes them, which is said. The answer and its memories go to stdout, how they were found to stderr.
    Memories in the note it answers from count as used together, as in `aspen chat`; ASPEN_REINFORCE=0 turns that off.

    \b
    Examples:
      aspen ask "How do I handle creative burnout?"
      aspen ask "What would I say to that?" --preset character --orchestration prompt --seed 7 --json
      aspen ask "What would I say to that?" --endpoint http://127.0.0.1:8080/v1 --endpoint-model qwen3

    \b
    With --json: {"question", "text", "written_by": "model" or "memories", "problem", "memories": [{"memory": {id,
      text, ...}, "score", "seed_score", "activation", "type_boost", "priority", "paths": [{"memories": [ids],
      "contribution", "via", "relations": [types]}], "noted"}], "note": null or {"text", "tokens", "memory_ids"},
      "steps": [{"tool", "arguments", "by": "model" or "plan", "completed", "error", "found", "result_tokens",
      "seconds"}], "handles": {short id: id}, "orchestration", "preset", "finished_by": "model" or "fallback", "reason",
      "model", "turns", "prompt_tokens", "reply_tokens", "seconds", "seed"}
    """
    question = from_stdin(question)
    with (
        _agent_model(endpoint, name=endpoint_model, quiet=as_json) as agent_model,
        open_aspen(context, store=store, model=model, device=device, quiet=as_json) as aspen,
    ):
        answer = aspen.ask(
            question,
            orchestration=orchestration,
            limit=limit,
            preset=preset,
            seed=seed,
            max_tokens=max_tokens,
            model=agent_model,
            allow_writes=allow_writes,
        )
        known = memories_on_paths(aspen, answer.memories)
    if as_json:
        put_json(as_data(answer))
        return
    put(answer.text)
    for rank, one in enumerate(answer.memories, start=1):
        put()
        _put_evidence(rank, one, known)
    _say_how(answer)


def _agent_model(
    endpoint: str | None, *, name: str | None, quiet: bool
) -> AbstractContextManager[EndpointAgentModel | None]:
    """The model behind an endpoint, which is closed in the end; None where the store's own is to be asked."""
    if endpoint is None and name is None:
        return nullcontext()
    if endpoint is None or name is None:
        raise InvalidInput(
            "--endpoint and --endpoint-model go together.", hint="Name the URL, and the model that it serves."
        )
    model = EndpointAgentModel(endpoint, model=name, api_key=settings_for().endpoint_key)
    if not model.is_local:
        notices(quiet=quiet)(f"what is found of the memories is sent to {endpoint}")
    return model


def _put_evidence(rank: int, one: Evidence, known: Mapping[str, Memory]) -> None:
    memory = one.memory
    facts = [memory.type.value, date_of(memory.said_at), memory.speaker or "", memory.id]
    put(f"{rank}. {one_line(memory.text)}")
    put("   " + " · ".join(filter(None, map(one_line, facts))))
    put(
        f"   score {one.score:.2f} · seed score {one.seed_score:.2f} · activation {one.activation:.2f}"
        f" (boost {one.type_boost:g}) · priority {one.priority:.2f}"
    )
    for path in one.paths:
        put_path(path, known, arrived=one.activation if path.relations else 0.0)


def _say_how(answer: AgentAnswer) -> None:
    if answer.problem:
        say(f"the memories themselves are the answer: {answer.problem}", style="yellow")
    if answer.finished_by == "fallback":
        say(f"the plan finished what the model did not: {answer.reason}", style="yellow")
    for number, step in enumerate(answer.steps, start=1):
        say(f"{number}. {_told(step)}")
    say(
        f"{answer.orchestration} by {answer.model} · {answer.prompt_tokens:,} tokens read, {answer.reply_tokens:,} "
        f"written in {answer.turns} turns · {answer.seconds:.1f} s · seed {answer.seed}"
    )


def _told(step: AgentStep) -> str:
    arguments = ", ".join(f"{name}={_short(value)}" for name, value in step.arguments.items())
    who = "" if step.by == "model" else " by the plan"
    came = f"refused: {step.error}" if step.error else f"{step.found} memories"
    return one_line(f"{step.tool}({arguments}){who}: {came}, {step.seconds * 1000:.0f} ms")


def _short(value: object) -> str:
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return one_line(text, most=60)
