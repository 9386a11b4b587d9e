"""Does a store know what it can answer? Each question is put to the store of its conversation and to another's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from aspen.benchmarks import output, probabilities
from aspen.benchmarks.interface import Dataset, Question
from aspen.benchmarks.report import Report, figure
from aspen.benchmarks.systems import Stores
from aspen.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Answers:
    """What the stores said. predicted [n]: `Recall.familiarity`; groups [n]: the conversation a question is about."""

    predicted: probabilities.Values
    answerable: probabilities.Labels
    groups: tuple[str, ...]


def ask(dataset: Dataset, stores: Stores) -> Answers:
    """Write `dataset`, and put each question that counts to its own conversation and to the next one.

    `stores` has one for each conversation. InvalidInput with fewer than two of them.
    """
    groups = list(dataset.conversations)
    if len(groups) < 2:
        raise InvalidInput(
            f"{dataset.name} has {len(groups)} conversations; familiarity needs 2.",
            hint="A question is unanswerable where it is put to another's store.",
        )
    other = dict(zip(groups, [*groups[1:], groups[0]], strict=True))
    asked = [question for question in dataset.questions if _counts(question, dataset)]
    if not asked:
        raise InvalidInput(f"No question of {dataset.name} counts.", hint="Take more of them.")
    found = []
    with output.progress() as bars:
        bar = bars.add_task("writing", total=len(dataset.items))
        stores.write(dataset.items, advance=lambda done: bars.update(bar, completed=done))
        for question in bars.track(asked, description="asking"):
            for group in (question.group, other[question.group]):
                recall = stores.holding(group).recall(question.text, limit=1)
                found.append((recall.familiarity, group == question.group, question.group))
    predicted, answerable, about = zip(*found, strict=True)
    return Answers(np.array(predicted), np.array(answerable), about)


def _counts(question: Question, dataset: Dataset) -> bool:
    return question.kind not in dataset.apart and question.group in dataset.conversations


def summarised(answers: Answers) -> Report:
    """AUROC, Brier score and calibration, in [0, 1]."""
    predicted, answerable = answers.predicted, answers.answerable
    table = probabilities.reliability(predicted, answerable)
    about = np.array(answers.groups)
    return {
        "unit": "probability",
        "familiarity": {
            "answerable": int(answerable.sum()),
            "unanswerable": int((~answerable).sum()),
            "auroc": _auroc(answers, np.ones(len(predicted), dtype=np.bool_)),
            "brier_score": round(
                probabilities.brier_score(predicted, answerable, np.ones(len(predicted))), 3
            ),
            "expected_calibration_error": round(probabilities.expected_calibration_error(table), 3),
            "ci95": {
                name: probabilities.interval(statistic, predicted, answerable, groups=answers.groups)
                for name, statistic in _STATISTICS.items()
            },
            "reliability": [
                {name: None if value is None else round(value, 3) for name, value in asdict(bin_).items()}
                for bin_ in table
            ],
            "per_group": {group: _auroc(answers, about == group) for group in dict.fromkeys(answers.groups)},
        },
    }


_STATISTICS = {"auroc": probabilities.auroc, "brier_score": probabilities.brier_score}


def _auroc(answers: Answers, chosen: probabilities.Labels) -> float:
    predicted, answerable = answers.predicted[chosen], answers.answerable[chosen]
    return round(probabilities.auroc(predicted, answerable, np.ones(len(predicted))), 3)


def show(report: Report, dataset: Dataset) -> None:
    """Print the tables."""
    found: Report = report["familiarity"]
    output.table(
        f"{dataset.name}: familiarity of {found['answerable']} questions in their own conversation and in another",
        ["", "value", "95 %"],
        [
            ["AUROC", f"{found['auroc']:.3f}", _ends(found["ci95"]["auroc"])],
            ["Brier score", f"{found['brier_score']:.3f}", _ends(found["ci95"]["brier_score"])],
            ["expected calibration error", f"{found['expected_calibration_error']:.3f}", "-"],
        ],
        caption="AUROC: 1 is perfect, 0.5 is chance. Brier score: 0 is perfect, 0.25 is chance.",
    )
    output.table(
        "Calibration: how many of the questions are answerable, percent",
        ["familiarity", "questions", "predicted", "observed"],
        [
            [
                f"{bin_['low']:.1f} to {bin_['high']:.1f}",
                str(bin_["count"]),
                figure(_percent(bin_["mean_predicted"])),
                figure(_percent(bin_["observed"])),
            ]
            for bin_ in found["reliability"]
        ],
    )


def _ends(ends: Sequence[float] | None) -> str:
    return "-" if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}"


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value
