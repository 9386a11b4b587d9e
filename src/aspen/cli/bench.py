"""The command group `bench`: measuring on data with known answers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from aspen.benchmarks import catalogue, output
from aspen.benchmarks.circumstances import circumstances
from aspen.benchmarks.datasets import Layout, read_dataset
from aspen.benchmarks.plotting import check_plotting, plot
from aspen.benchmarks.report import described, show, summarised
from aspen.benchmarks.running import run
from aspen.cli._options import DeviceOption, ModelOption, given_model, settings_for
from aspen.cli._screen import say

group = typer.Typer(name="bench", rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the group to the program."""
    group.command()(recall)
    app.add_typer(group)


@group.callback(invoke_without_command=True)
def bench(context: typer.Context) -> None:
    """Measure Aspen and others on data with known answers.

    \b
    Example:
      aspen bench recall --system product
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def recall(
    context: typer.Context,
    *,
    dataset: Annotated[
        Layout,
        typer.Option(
            "--dataset",
            help="locomo: conversations as one JSON file; beir: a folder of passages; beam: a folder of chats.",
        ),
    ] = Layout.LOCOMO,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="PATH",
            help="The file or folder. Default: the small set of conversations that comes with Aspen.",
        ),
    ] = None,
    system: Annotated[
        list[str] | None,
        typer.Option(
            "--system",
            "-s",
            metavar="NAME",
            help="A system, or a set: product, baselines, peers, ablations. May be given several times. "
            "Default: product, and the baselines if they are installed.",
            show_default=False,
        ),
    ] = None,
    limit_questions: Annotated[
        int | None,
        typer.Option(
            "--limit-questions", min=1, metavar="N", help="Ask the first N of each conversation only."
        ),
    ] = None,
    limit_conversations: Annotated[
        int | None, typer.Option("--limit-conversations", min=1, metavar="N", help="Take the first N only.")
    ] = None,
    json_path: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all figures to this file.")
    ] = None,
    plot_path: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw recall@k here: .png, .svg or .pdf.")
    ] = None,
    model: ModelOption = None,
    device: DeviceOption = None,
) -> None:
    """Measure how much of the evidence for a question comes back.

    The data is remembered in a new temporary store as `aspen import` remembers it, and every question is put to
    `Aspen.recall`, limited to its conversation. Your own store is not touched. Other systems get the same texts.

    \b
    Examples:
      aspen bench recall
      aspen bench recall --data locomo10.json --json recall.json --plot recall.png
      aspen bench recall --dataset beir --data hotpotqa -s aspen -s minilm -s pagerank

    \b
    With --json: the file has {"systems": {NAME: {"recall@5", "recall@10", "recall@25", "all_recall@10",
      "ndcg@10", "mrr", "ci95", "write_ms", "query_ms", "per_kind", "per_group"}}, "differences", "data", "model",
      "machine", "versions", "command", "date"}; figures in percent.
    """
    names = catalogue.chosen(system or catalogue.usual_names())
    for path in (json_path, plot_path):
        output.check_output(path)
    if plot_path is not None:
        check_plotting(plot_path)
    chosen = read_dataset(dataset, data).part(conversations=limit_conversations, questions=limit_questions)
    setting = catalogue.Setting(
        settings_for(model=model, device=device), model=given_model(context), notify=say
    )
    with catalogue.opened(names, setting) as opened:
        outcomes = run(chosen, opened.systems)
        report = {
            **circumstances(title="recall", command=["aspen", *sys.argv[1:]]),
            **opened.facts,
            "data": described(chosen),
            **summarised(chosen, outcomes),
        }
    output.write_json(json_path, report)
    if plot_path is not None:
        plot(plot_path, report, chosen)
    show(report, chosen)  # last: whoever reads the tables may go away (`| head`)
