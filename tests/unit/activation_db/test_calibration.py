import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.unit.activation_db.test_encoder import Overflowing

from aspen.activation_db import Calibration, KeyRecipe, load_calibration, recipe_for
from aspen.activation_db.calibration import calibrate, calibration_text, inverse_document_frequencies
from aspen.errors import InvalidInput
from aspen.testing.fake_model import FakeModel


def load(model: FakeModel, cache_dir: Path, told: list[str] | None = None) -> Calibration:
    notify = (lambda message: None) if told is None else told.append
    return load_calibration(model, recipe=recipe_for(model.info), cache_dir=cache_dir, notify=notify)


def same(one: Calibration, other: Calibration) -> bool:
    return one.to_bytes() == other.to_bytes()


@pytest.fixture
def model() -> FakeModel:
    return FakeModel(n_layers=1, width=8, n_heads=1, n_kv_heads=1)


def test_rare_tokens_weigh_more_and_no_token_weighs_nothing() -> None:
    documents = [np.array(ids, dtype=np.int32) for ids in ([0, 1, 1], [0], [0, 2])]
    weights = inverse_document_frequencies(documents, vocab_size=4)
    df = np.array([3, 1, 1, 0])
    np.testing.assert_allclose(weights, np.log(4 / (df + 1)) + 0.1, rtol=1e-6)
    assert weights.dtype == np.float32


def test_is_made_of_turns_and_questions(model: FakeModel) -> None:
    calibration = calibrate(model, recipe=recipe_for(model.info))
    turns, _ = calibration_text()
    assert calibration.turns.count == len(turns)
    assert calibration.prompt_offset.shape == calibration.turns.mean.shape == (1, 8)
    assert calibration.token_weights.shape == (258,)
    assert np.abs(calibration.prompt_offset).max() > 0.01


def test_saved_statistics_come_back_to_three_digits(model: FakeModel) -> None:
    calibration = calibrate(model, recipe=recipe_for(model.info))
    back = Calibration.from_bytes(calibration.to_bytes())
    deviations = np.sqrt(np.einsum("kdd->kd", calibration.turns.scatter))
    scale = np.einsum("kd,ke->kde", deviations, deviations)
    np.testing.assert_allclose(back.turns.scatter / scale, calibration.turns.scatter / scale, atol=1e-3)
    np.testing.assert_allclose(back.turns.mean, calibration.turns.mean, rtol=1e-6)
    assert back.turns.count == calibration.turns.count
    np.testing.assert_array_equal(back.prompt_offset, calibration.prompt_offset)
    np.testing.assert_allclose(back.token_weights, calibration.token_weights, rtol=1e-3)


def test_the_second_process_reads_what_the_first_has_made_and_gets_the_same(
    model: FakeModel, tmp_path: Path
) -> None:
    told: list[str] = []
    first = load(model, tmp_path, told)
    assert any("Calibrating" in message for message in told)
    model.blocks_run = 0
    told.clear()
    second = load(model, tmp_path, told)
    assert model.blocks_run == 0
    assert told == []
    # Otherwise two processes would make different keys of one text.
    np.testing.assert_array_equal(first.token_weights, second.token_weights)
    np.testing.assert_array_equal(first.turns.scatter, second.turns.scatter)


@pytest.mark.parametrize("damage", [b"", b"not safetensors", None])
def test_a_damaged_file_is_told_and_made_again(
    model: FakeModel, tmp_path: Path, damage: bytes | None
) -> None:
    first = load(model, tmp_path)
    (file,) = (tmp_path / "calibration").glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-100] if damage is None else damage)
    told: list[str] = []
    assert same(load(model, tmp_path, told), first)
    assert any("damaged" in message for message in told)
    told.clear()
    load(model, tmp_path, told)
    assert told == []


def test_models_do_not_share_a_calibration(tmp_path: Path) -> None:
    first, second = (
        load(FakeModel(seed=seed, n_layers=1, width=8, n_heads=1, n_kv_heads=1), tmp_path) for seed in (1, 2)
    )
    assert not same(first, second)


def test_a_model_that_overflows_is_refused_and_nothing_is_kept(tmp_path: Path) -> None:
    broken = Overflowing(n_layers=1, width=8, n_heads=1, n_kv_heads=1)
    with pytest.raises(InvalidInput, match="not finite"):
        load(broken, tmp_path)
    assert list((tmp_path / "calibration").glob("*.safetensors")) == []


def test_the_bundled_model_comes_calibrated(tmp_path: Path) -> None:
    named = FakeModel()
    weights, tokenizer = f"b179c9523d0e6a0f{'0' * 48}", f"880d884b{'0' * 56}"
    vars(named)["fingerprint"] = replace(named.fingerprint, weights=weights, tokenizer=tokenizer)
    recipe = KeyRecipe(layers=(0, 9, 15), dims=(400, 192, 192), width=576)
    calibration = load_calibration(named, recipe=recipe, cache_dir=tmp_path)
    assert named.blocks_run == 0
    assert list(tmp_path.iterdir()) == []
    assert calibration.turns.mean.shape == (3, 576)
    assert calibration.token_weights.shape == (49152,)
    assert np.isfinite(calibration.turns.scatter).all()
    assert calibration.token_weights.min() > 0
    assert calibration.heads is not None
    assert calibration.heads.version.startswith("2:9.2,15.6,15.7:")
    # Twenty times less than as float32, memories of two score tokens.
    key, tokens = calibration.key_code.size, 40
    stored = key + calibration.heads.head_size + calibration.heads.token_size * (tokens - 1)
    assert 20 * stored <= 4 * (3 * 576 + tokens * 2 * 64)


def test_the_calibration_text_is_dialogue_without_anything_odd() -> None:
    turns, questions = calibration_text()
    assert len(turns) >= 450
    assert len(questions) >= 150
    assert len(set(turns)) == len(turns)
    assert len(set(questions)) == len(questions)
    for text in turns + questions:
        assert 5 < len(text) < 1000
        assert text == text.strip()
        assert unicodedata.is_normalized("NFC", text)
        assert not any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co") for character in text)
        assert not any(token in text for token in ("<|", "|>", "<s>", "</s>", "[INST]", "\ufffd"))
    assert all(": " in turn for turn in turns)
    assert sum(question.endswith("?") for question in questions) > 0.7 * len(questions)
