"""The command group `bench`: measuring on data with known answers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from aspen.benchmarks import catalogue, cold_start, familiarity, gate, output
from aspen.benchmarks.circumstances import circumstances
from aspen.benchmarks.datasets import Layout, read_dataset
from aspen.benchmarks.interface import Dataset
from aspen.benchmarks.plotting import check_plotting, plot_cold_start, plot_recall, plot_reliability
from aspen.benchmarks.report import Report, described, show, summarised
from aspen.benchmarks.running import run
from aspen.benchmarks.systems import Stores
from aspen.cli._options import DeviceOption, ModelOption, given_model, settings_for
from aspen.cli._screen import say
from aspen.errors import InvalidInput

GATE_FAILED = 1
group = typer.Typer(name="bench", rich_markup_mode=None)

LayoutOption = Annotated[
    Layout,
    typer.Option(
        "--dataset",
        help="locomo: conversations as one JSON file; beir: a folder of passages; beam: a folder of chats.",
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="PATH",
        help="The file or folder. Default: the small set of conversations that comes with Aspen.",
    ),
]
QuestionsOption = Annotated[
    int | None,
    typer.Option("--limit-questions", min=1, metavar="N", help="Ask the first N of each conversation only."),
]
ConversationsOption = Annotated[
    int | None, typer.Option("--limit-conversations", min=1, metavar="N", help="Take the first N only.")
]
JsonOption = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write all figures to this file.")
]


def register(app: typer.Typer) -> None:
    """Add the group to the program."""
    for command in (recall, familiarity_, cold_start_):
        group.command(command.__name__.strip("_").replace("_", "-"))(command)
    app.add_typer(group)


@group.callback(invoke_without_command=True)
def bench(context: typer.Context) -> None:
    """Measure Aspen and others on data with known answers.

    \b
    Examples:
      aspen bench recall --system product
      aspen bench familiarity --data locomo10.json
      aspen bench cold-start --memories 10,50
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def recall(
    context: typer.Context,
    *,
    dataset: LayoutOption = Layout.LOCOMO,
    data: DataOption = None,
    system: Annotated[
        list[str] | None,
        typer.Option(
            "--system",
            "-s",
            metavar="NAME",
            help="A system, or a set: product, reranking, baselines, peers, ablations. May be given several times. "
            "Default: product, aspen_rerank, and the baselines if they are installed.",
            show_default=False,
        ),
    ] = None,
    limit_questions: QuestionsOption = None,
    limit_conversations: ConversationsOption = None,
    json_path: JsonOption = None,
    plot_path: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw recall@k here: .png, .svg or .pdf.")
    ] = None,
    gated: Annotated[
        bool,
        typer.Option(
            "--gate", help="Exit with 1 where spreading does harm: aspen is below hybrid by its noise."
        ),
    ] = False,
    recorded_path: Annotated[
        Path | None,
        typer.Option(
            "--recorded",
            metavar="FILE",
            help="Exit with 1 where a system finds 3 points less at 10 than in this file, an earlier --json.",
        ),
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
      aspen bench recall -s ablations --model ~/models/Qwen3-0.6B
      aspen bench recall -s product --gate --recorded recall.json

    \b
    With --json: the file has {"systems": {NAME: {"recall@5", "recall@10", "recall@25", "all_recall@10",
      "ndcg@10", "mrr", "ci95", "write_ms", "query_ms", "per_kind", "per_group"}}, "differences", "data", "model",
      "machine", "versions", "command", "date"}; figures in percent.
    """
    names = catalogue.chosen([*(system or catalogue.usual_names()), *(gate.SPREADING if gated else ())])
    chosen = _prepared(
        dataset,
        data,
        outputs=(json_path, plot_path),
        conversations=limit_conversations,
        questions=limit_questions,
    )
    recorded = recorded_path and gate.read_recorded(recorded_path, data=described(chosen))
    setting = catalogue.Setting(
        settings_for(model=model, device=device), model=given_model(context), notify=say
    )
    with catalogue.opened(names, setting) as opened:
        figures = summarised(chosen, run(chosen, opened.systems))
        report = _headed("recall", chosen, opened.facts, figures)
    failures = gate.spreading_failures(report) if gated else []
    failures += gate.recorded_failures(report, recorded) if recorded else []
    _write(report, chosen, json_path, plot_path, plot=plot_recall)
    show(report, chosen)  # last: whoever reads the tables may go away (`| head`)
    _fail_on(failures)


def familiarity_(
    context: typer.Context,
    *,
    dataset: LayoutOption = Layout.LOCOMO,
    data: DataOption = None,
    limit_questions: QuestionsOption = None,
    limit_conversations: ConversationsOption = None,
    json_path: JsonOption = None,
    plot_path: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Draw a reliability diagram here: .png, .svg or .pdf."),
    ] = None,
    gated: Annotated[
        bool, typer.Option("--gate", help=f"Exit with 1 where the AUROC is below {gate.LEAST_AUROC}.")
    ] = False,
    model: ModelOption = None,
    device: DeviceOption = None,
) -> None:
    """Measure whether recall knows which questions its memories can answer.

    Each conversation is remembered in a store of its own. Every question is put to the store of its conversation, which
    can answer it, and to that of the next conversation, which cannot; `Recall.familiarity` should tell the two apart.

    \b
    Examples:
      aspen bench familiarity
      aspen bench familiarity --dataset beam --data beam100k --json familiarity.json --plot familiarity.png

    \b
    With --json: the file has {"familiarity": {"auroc", "brier_score", "expected_calibration_error", "ci95",
      "reliability", "per_group", "answerable", "unanswerable"}, "data", "model", "machine", "versions", "command",
      "date"}; figures are probabilities in [0, 1].
    """
    chosen = _prepared(
        dataset,
        data,
        outputs=(json_path, plot_path),
        conversations=limit_conversations,
        questions=limit_questions,
    )
    with TemporaryDirectory() as folder:
        stores = Stores(
            Path(folder),
            model=given_model(context),
            config=settings_for(model=model, device=device),
            apart=True,
            notify=say,
        )
        try:
            figures = familiarity.summarised(familiarity.ask(chosen, stores))
        finally:
            stores.close()
    report = _headed("familiarity", chosen, stores.facts, figures)
    _write(report, chosen, json_path, plot_path, plot=plot_reliability)
    familiarity.show(report, chosen)
    _fail_on(gate.familiarity_failures(report) if gated else [])


def cold_start_(
    context: typer.Context,
    *,
    dataset: LayoutOption = Layout.LOCOMO,
    data: DataOption = None,
    memories: Annotated[
        str,
        typer.Option(
            "--memories", metavar="N,N,...", help="How many memories a store has, with commas between."
        ),
    ] = "10,50,200",
    system: Annotated[
        list[str] | None,
        typer.Option(
            "--system",
            "-s",
            metavar="NAME",
            help="A system or a set, as in `aspen bench recall`. May be given several times. "
            f"Default: {', '.join(cold_start.SYSTEMS)}.",
            show_default=False,
        ),
    ] = None,
    limit_questions: QuestionsOption = None,
    limit_conversations: ConversationsOption = None,
    json_path: JsonOption = None,
    plot_path: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw recall@5 here: .png, .svg or .pdf.")
    ] = None,
    gated: Annotated[
        bool,
        typer.Option("--gate", help="Exit with 1 where aspen is below bm25 by more than its noise."),
    ] = False,
    model: ModelOption = None,
    device: DeviceOption = None,
) -> None:
    """Measure what is found while a store holds few memories.

    Conversations are cut into stretches of N memories. Each is remembered in a new store of its own, and asked the
    questions whose whole evidence lies in it. A store that knows little has little to fit its statistics on.

    \b
    Examples:
      aspen bench cold-start
      aspen bench cold-start --data locomo10.json --memories 10,50,200 --json cold.json --plot cold.png

    \b
    With --json: the file has {"memories": {N: {"stores", "questions", "systems": {NAME: {"recall@1", "recall@5",
      "recall@10", "all_recall@10", "ndcg@10", "mrr", "ci95"}}, "differences"}}, "data", "model", "machine",
      "versions", "command", "date"}; figures in percent.
    """
    sizes = _sizes(memories)
    compared = ("aspen", "bm25") if gated else ()
    names = catalogue.chosen([*(system or cold_start.SYSTEMS), *compared])
    chosen = _prepared(
        dataset,
        data,
        outputs=(json_path, plot_path),
        conversations=limit_conversations,
        questions=limit_questions,
    )
    setting = catalogue.Setting(
        settings_for(model=model, device=device), model=given_model(context), encode_once=True, notify=say
    )
    with catalogue.opened(names, setting) as opened:
        figures = cold_start.run(chosen, opened.systems, sizes=sizes)
        report = _headed("cold start", chosen, opened.facts, figures)
    _write(report, chosen, json_path, plot_path, plot=plot_cold_start)
    cold_start.show(report, chosen)
    _fail_on(gate.cold_start_failures(report) if gated else [])


def _sizes(text: str) -> list[int]:
    """Numbers of memories, in ascending order."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() and 0 < int(part) <= 1_000_000 for part in parts):
        raise InvalidInput(
            f"--memories takes numbers from 1 to 1,000,000 with commas between, got {text!r}.",
            hint="For example --memories 10,50,200.",
        )
    return sorted({int(part) for part in parts})


def _prepared(
    layout: Layout,
    data: Path | None,
    *,
    outputs: tuple[Path | None, Path | None],
    conversations: int | None,
    questions: int | None,
) -> Dataset:
    """The part of the data to measure on; what the outputs (JSON, plot) lack is said now, before the work."""
    for path in outputs:
        output.check_output(path)
    if outputs[1] is not None:
        check_plotting(outputs[1])
    return read_dataset(layout, data).part(conversations=conversations, questions=questions)


def _headed(title: str, chosen: Dataset, facts: Mapping[str, object], figures: Report) -> Report:
    """The whole report."""
    head = circumstances(title=title, command=["aspen", *sys.argv[1:]])
    return {**head, **facts, "data": described(chosen), **figures}


def _write(
    report: Report,
    chosen: Dataset,
    json_path: Path | None,
    plot_path: Path | None,
    *,
    plot: Callable[[Path, Report, Dataset], None],
) -> None:
    output.write_json(json_path, report)
    if plot_path is not None:
        plot(plot_path, report, chosen)


def _fail_on(failures: Sequence[str]) -> None:
    """Say what a gate found, and exit with GATE_FAILED."""
    for failure in failures:
        say(f"gate: {failure}")
    if failures:
        raise typer.Exit(GATE_FAILED)
