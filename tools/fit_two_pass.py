"""Fits the gate of two-pass with the bundled model, and prints weights and figures.

    python tools/fit_two_pass.py --questions 30

Each question of a labelled set is put to the store of its own set, which can answer it, and to another's; messages
that need no memory are put to all. What the gate sees are the familiarity of the recall and the entropy of the next
token after the message alone. The weights go into `aspen/memory_injector/gate.py` by hand.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from aspen import Aspen
from aspen.benchmarks.probabilities import auroc
from aspen.config import Config
from aspen.models import LanguageModel, load_model, uncertainty
from aspen.resonance_search.reranking import labelled_sets
from aspen.types import Message, Role

_MESSAGES = Path(__file__).with_name("general_messages.txt")
_CLIP = 0.001
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Asked:
    """A message put to a store. own: whether that store can answer it; general: whether no store is needed."""

    familiarity: float
    entropy: float
    own: bool
    general: bool


def main() -> None:
    """Ask, fit, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--questions", type=int, default=30, help="of each labelled set")
    settings = parser.parse_args()
    model = load_model("bundled", cache_dir=Config.from_environment().cache_dir, device="cpu")
    asked = ask(model, questions=settings.questions, seed=0)
    own = np.array([one.own for one in asked])
    general = np.array([one.general for one in asked])
    foreign = ~own & ~general
    shares = np.clip([one.familiarity for one in asked], _CLIP, 1 - _CLIP)
    logits, entropies = np.log(shares / (1 - shares)), np.array([one.entropy for one in asked])
    weights = fit(np.column_stack([logits, entropies]), own)
    need = 1 / (1 + np.exp(-(weights[0] + weights[1] * logits + weights[2] * entropies)))
    print(
        f"{own.sum()} answerable, {foreign.sum()} put to another's store, {general.sum()} that need no memory"
    )
    print(f"constant {weights[0]:.2f}, of familiarity {weights[1]:.2f}, of entropy {weights[2]:.2f}")
    print(f"AUROC {auroc(need, own, np.ones(len(own))):.3f}")
    print(f"needed: {np.mean(need[own] >= 0.5):.3f} of those answerable")
    print(
        f"not needed: {np.mean(need[foreign] < 0.5):.3f} of another's, {np.mean(need[general] < 0.5):.3f} of the others"
    )
    print(f"upper quartile of another's familiarity: {np.quantile(shares[foreign], 0.75):.3f}")


def ask(model: LanguageModel, *, questions: int, seed: int) -> list[Asked]:
    """Put `questions` of each set to its own store and the next one, and the other messages to all."""
    random, sets = np.random.default_rng(seed), labelled_sets()
    stores = [Aspen.open(":memory:", model=model) for _ in sets]
    for store, one in zip(stores, sets, strict=True):
        store.remember_many(one.items)
    asked = []
    for place, one in enumerate(sets):
        for row in track(random.permutation(len(one.questions))[:questions], description=one.name):
            text = one.questions[row].text
            entropy = first_entropy(model, text)
            for other in (place, (place + 1) % len(sets)):
                familiarity = stores[other].recall(text, limit=4).familiarity
                asked.append(Asked(familiarity, entropy, own=other == place, general=False))
    # Every second message: each counts once for every store, and they should not outweigh the questions.
    for text in track(_MESSAGES.read_text(encoding="utf-8").splitlines()[::2], description="general"):
        entropy = first_entropy(model, text)
        for store in stores:
            asked.append(Asked(store.recall(text, limit=4).familiarity, entropy, own=False, general=True))
    return asked


def first_entropy(model: LanguageModel, text: str) -> float:
    """Of the first token of a reply, in nats."""
    chat = model.apply_chat_template([Message(Role.USER, text)])
    return uncertainty(model.start_session().prefill(chat.token_ids)).entropy


def fit(columns: Values, labels: NDArray[np.bool_]) -> Values:
    """Logistic regression by Newton's method, both labels of equal weight: [1 + k], the constant first."""
    design = np.column_stack([np.ones(len(columns)), columns])
    balance = np.where(labels, 0.5 / labels.mean(), 0.5 / (~labels).mean())
    weights = np.zeros(design.shape[1])
    for _ in range(50):
        predicted = 1 / (1 + np.exp(-design @ weights))
        slope = design.T @ (balance * (labels - predicted)) - 1e-3 * weights
        curve = (design.T * (balance * predicted * (1 - predicted))) @ design + 1e-3 * np.eye(len(weights))
        weights = weights + np.linalg.solve(curve, slope)
    return weights


if __name__ == "__main__":
    main()
