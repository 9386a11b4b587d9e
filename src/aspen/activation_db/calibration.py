"""What Aspen knows of a model before the first memory: statistics over a small text that ships with it.

A new store has too few memories to fit a whitening on, and nobody has asked it anything yet. So each model is
calibrated once, on some 500 turns of dialogue and 160 questions: mean and covariance of the turns, how far
questions lie from turns, how rare each token is, which attention heads look things up, and how keys are coded. For
models in `data/` that has been done; for others it is done at first use and kept in the cache folder.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.numpy import load, save

from aspen.activation_db.capture import capture_pooled
from aspen.activation_db.head_choice import HeadTrial, most_alike
from aspen.activation_db.head_set import HeadSet
from aspen.activation_db.key_code import KeyCode
from aspen.activation_db.key_version import KeyVersion
from aspen.activation_db.keys import MAX_KEY_TOKENS, KeyRecipe, check_finite
from aspen.activation_db.moments import Moments
from aspen.activation_db.trait_probe import TraitProbe, labelled_utterances
from aspen.activation_db.whitening import KeySpace
from aspen.errors import ModelError
from aspen.files import write_atomically
from aspen.models import LanguageModel
from aspen.types import FloatArray, TokenIds

_VERSION = 4


@dataclass(frozen=True, slots=True)
class Calibration:
    """Statistics of one model on the calibration text.

    turns: moments of the turns' pooled vectors; prompt_offset: float32 [K, D], mean of the questions minus mean
    of the turns; token_weights: float32 [V], inverse document frequency by token id; heads: those that match
    memories to prompts, None where there are none, and then `no_heads` says why; probe: tells traits; key_code: how
    keys are stored.
    """

    turns: Moments
    prompt_offset: FloatArray
    token_weights: FloatArray
    probe: TraitProbe
    key_code: KeyCode
    heads: HeadSet | None = None
    no_heads: str = ""

    def key_version(self, recipe_version: str, *, runtime: str) -> KeyVersion:
        """What a store's stamp says: stored keys of equal version and model can be compared.

        It names recipe, code and heads: a calibration made anew with other heads or another basis cannot read what
        was stored with this one, and `aspen rekey` has to make it anew. `runtime` is that of the model's fingerprint.
        """
        heads = self.heads.version if self.heads else "no heads"
        return KeyVersion(recipe_version, self.key_code.version, heads, runtime)

    def to_bytes(self) -> bytes:
        """As safetensors, to the precision of `Moments.to_tensors`."""
        tensors = self.turns.to_tensors()
        tensors["prompt_offset"] = self.prompt_offset
        tensors["token_weights"] = self.token_weights.astype(np.float16)
        tensors["no_heads"] = np.array(list(self.no_heads.encode()), dtype=np.uint8)
        tensors |= self.probe.to_tensors() | self.key_code.to_tensors()
        if self.heads is not None:
            tensors |= self.heads.to_tensors()
        return save({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()})

    @classmethod
    def from_bytes(cls, body: bytes) -> Calibration:
        """The inverse of `to_bytes`, to the precision kept."""
        tensors = load(body)
        turns = Moments.from_tensors(tensors)
        return cls(
            turns=turns,
            prompt_offset=tensors["prompt_offset"],
            token_weights=tensors["token_weights"].astype(np.float32),
            probe=TraitProbe.from_tensors(tensors),
            key_code=KeyCode.from_tensors(tensors, n_layers=len(turns.mean)),
            heads=HeadSet.from_tensors(tensors),
            no_heads=tensors["no_heads"].tobytes().decode(),
        )


def file_name(model: LanguageModel, *, recipe: KeyRecipe) -> str:
    """The file of a calibration, in the package or in the cache: one for each model and recipe."""
    return _file_name(model.fingerprint.model_id, recipe.version)


def _file_name(model_id: str, recipe_version: str) -> str:
    version = recipe_version.replace(":", "-").replace(",", ".")
    return f"{model_id}-{version}-v{_VERSION}.safetensors"


def known_calibration(model_id: str, *, key_version: str, cache_dir: Path) -> Calibration | None:
    """The calibration that reads keys of such a stamp, without the model; None where it is neither shipped nor cached.

    It may be another one than the keys were made with; then its own `key_version` differs.
    """
    name = _file_name(model_id, key_version.split("/", maxsplit=1)[0])
    shipped, cached = files("aspen.activation_db") / "data" / name, cache_dir / "calibration" / name
    try:
        return Calibration.from_bytes((shipped if shipped.is_file() else cached).read_bytes())
    except (OSError, SafetensorError, KeyError, ValueError):
        return None


def load_calibration(
    model: LanguageModel,
    *,
    recipe: KeyRecipe,
    cache_dir: Path,
    notify: Callable[[str], None] = lambda message: None,
) -> Calibration:
    """The calibration of `model`: shipped, or from the cache folder, or made now (about a minute) and kept there."""
    name = file_name(model, recipe=recipe)
    shipped = files("aspen.activation_db") / "data" / name
    if shipped.is_file():
        return Calibration.from_bytes(shipped.read_bytes())
    try:
        return _from_cache(model, recipe=recipe, path=cache_dir / "calibration" / name, notify=notify)
    except OSError as error:
        raise ModelError(
            f"The calibration of {model.info.name} cannot be kept in {cache_dir}: {error}.",
            hint="Set ASPEN_CACHE to a folder of yours with some megabytes free.",
        ) from error


def _from_cache(
    model: LanguageModel, *, recipe: KeyRecipe, path: Path, notify: Callable[[str], None]
) -> Calibration:
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if path.exists():
            try:
                return Calibration.from_bytes(path.read_bytes())
            except (SafetensorError, KeyError, ValueError):
                notify(f"The calibration in {path} is damaged and will be made again.")
        notify(f"Calibrating {model.info.name}: once, about a minute ...")
        body = calibrate(model, recipe=recipe).to_bytes()
        with write_atomically(path) as aside:
            aside.write_bytes(body)
    # As it was kept, so that this process makes the same keys as all later ones.
    return Calibration.from_bytes(body)


def calibrate(model: LanguageModel, *, recipe: KeyRecipe) -> Calibration:
    """Run the calibration text through `model`."""
    turns, questions = calibration_text()
    turn_ids = [model.tokenize(text)[:MAX_KEY_TOKENS] for text in turns]
    question_ids = [model.tokenize(text)[:MAX_KEY_TOKENS] for text in questions]
    token_weights = inverse_document_frequencies(turn_ids + question_ids, vocab_size=model.info.vocab_size)
    trial = HeadTrial(model, depth=max(recipe.layers))
    pooled_turns, pooled_questions = (
        check_finite(
            capture_pooled(model, ids, recipe=recipe, token_weights=token_weights, heads=trial.refs, see=see)
        )
        for ids, see in ((turn_ids, trial.see_turn), (question_ids, trial.see_question))
    )
    moments = Moments.of(pooled_turns)
    prompt_offset = pooled_questions.mean(axis=0) - pooled_turns.mean(axis=0)
    space = KeySpace.fit(moments, prompt_offset=prompt_offset, recipe=recipe)
    heads = trial.best(turns, most_alike(pooled_questions, pooled_turns, space=space))
    probe = _trait_probe(model, recipe=recipe, token_weights=token_weights, space=space)
    return Calibration(
        moments,
        prompt_offset,
        token_weights,
        probe,
        KeyCode.fit(moments, recipe=recipe),
        heads,
        trial.refusal,
    )


def _trait_probe(
    model: LanguageModel, *, recipe: KeyRecipe, token_weights: FloatArray, space: KeySpace
) -> TraitProbe:
    examples = [utterance for utterance in labelled_utterances() if utterance.split == "train"]
    ids = [model.tokenize(utterance.text)[:MAX_KEY_TOKENS] for utterance in examples]
    pooled = check_finite(capture_pooled(model, ids, recipe=recipe, token_weights=token_weights))
    return TraitProbe.fit(pooled, [utterance.trait for utterance in examples], space=space)


def calibration_text() -> tuple[list[str], list[str]]:
    """The turns ("speaker: text") and the questions that ship with Aspen."""
    turns, questions = [], []
    source = files("aspen.activation_db") / "data" / "dialogue.jsonl"
    for line in source.read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        if item["kind"] == "turn":
            turns.append(f"{item['speaker']}: {item['text']}")
        else:
            questions.append(item["text"])
    return turns, questions


def inverse_document_frequencies(documents: Sequence[TokenIds], *, vocab_size: int) -> FloatArray:
    """ln((N + 1) / (df + 1)) + 0.1 for each token id, float32 [V]; N documents, df of them with the token."""
    frequency = np.zeros(vocab_size)
    for ids in documents:
        frequency[np.unique(ids)] += 1
    return (np.log((len(documents) + 1) / (frequency + 1)) + 0.1).astype(np.float32)
