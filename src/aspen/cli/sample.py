"""The command `sample`: one message, several seeds."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from aspen.cli._options import (
    DeviceOption,
    JsonOption,
    MaxTokensOption,
    ModelOption,
    NoMemoryOption,
    NoteTokensOption,
    StoreOption,
    StrategyOption,
    TalkOption,
    TraceLevelOption,
    from_stdin,
    open_aspen,
)
from aspen.cli._screen import as_data, on_terminal, put, put_json, put_table, say
from aspen.errors import InvalidInput
from aspen.front_door.replaying import SAMPLING
from aspen.turns import Sampled
from aspen.types import TraceLevel


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(sample)


def sample(
    context: typer.Context,
    *,
    message: Annotated[
        str,
        typer.Argument(metavar="MESSAGE", help='A message to answer; "-" reads it from standard input.'),
    ],
    seeds: Annotated[
        int | None,
        typer.Option(
            "--seeds", metavar="N", help="How many replies, each with a seed drawn anew. Default: 8."
        ),
    ] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option("--seed", metavar="N", help="A seed of your own, in place of --seeds; may be repeated."),
    ] = None,
    conversation: TalkOption = "default",
    strategy: StrategyOption = None,
    no_memory: NoMemoryOption = False,
    no_remember: Annotated[
        bool, typer.Option("--no-remember", help="Store neither the turn nor the alternatives.")
    ] = False,
    max_tokens: MaxTokensOption = 256,
    note_tokens: NoteTokensOption = 200,
    temperature: Annotated[
        float,
        typer.Option("--temperature", metavar="T", help="Above 0; the higher, the more replies differ."),
    ] = SAMPLING.temperature,
    trace_level: TraceLevelOption = TraceLevel.POOLED,
    store: StoreOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer a message with several seeds and keep the best.

    All replies share one prefill. The likeliest one that agrees most with the others, in what the model computes, is
    remembered with its seed, as `aspen chat` would; the others are kept as alternatives to its trace. Each replays by
    itself with `aspen replay`.

    \b
    Examples:
      aspen sample "Where does my sister live?" --seeds 8
      aspen sample "A name for the cat?" --seed 1 --seed 2 --seed 3 --temperature 1

    \b
    With --json: {"reply": as in `chat --json` without "recall", "candidates": [{"seed", "text", "tokens",
      "finish_reason", "chosen": bool, "trace_id", "scores": {"log_likelihood" (mean per token, nats), "agreement" (in
      [-1, 1]), "differs" (in [0, 1]), "score"}}], "diversity" (mean pairwise distance, in [0, 2])}
    """
    if seeds is not None and seed:
        raise InvalidInput("--seeds and --seed exclude each other.", hint="Say how many, or which.")
    with open_aspen(context, store=store, model=model, device=device, create=True, quiet=as_json) as aspen:
        sampled = aspen.sample(
            from_stdin(message),
            seeds=list(seed) if seed else 8 if seeds is None else seeds,
            conversation=conversation,
            strategy=strategy,
            memory=not no_memory,
            remember=not no_remember,
            sampler=replace(SAMPLING, temperature=temperature),
            max_tokens=max_tokens,
            note_tokens=note_tokens,
            level=trace_level,
        )
    if as_json:
        reply = {name: value for name, value in as_data(sampled.reply).items() if name != "recall"}
        put_json({**as_data(sampled), "reply": reply})
        return
    _put(sampled)


def _put(sampled: Sampled) -> None:
    put(sampled.reply.text)
    put()
    scores = [
        [
            "*" if one.chosen else "",
            str(one.seed),
            f"{one.scores.log_likelihood:.2f}",
            f"{one.scores.agreement:+.2f}",
            f"{one.scores.differs:.2f}",
            f"{one.scores.score:+.2f}",
        ]
        for one in sampled.candidates
    ]
    columns = ["", "seed", "log-lik.", "agrees", "differs", "score"]
    traces = [one.trace_id or "" for one in sampled.candidates]
    texts = [one.text for one in sampled.candidates]
    if on_terminal():  # too narrow for one more column
        rows = [[*row, text] for row, text in zip(scores, texts, strict=True)]
        put_table([*columns, "reply"], rows, numbers=columns[1:], below=traces)
    else:
        rows = [[*row, *rest] for row, *rest in zip(scores, traces, texts, strict=True)]
        put_table([*columns, "trace", "reply"], rows)
    facts = [
        f"diversity {sampled.diversity:.2f}",
        f"one prefill of {sampled.reply.prompt_tokens} tokens in {sampled.reply.prefill_seconds:.2f} s",
    ]
    if sampled.reply.memories:
        facts.append(f"remembered {' and '.join(memory.id for memory in sampled.reply.memories)}")
    say(" · ".join(facts))
