from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.fake_traces import traced
from tests.tiny_models import tiny_model

from aspen.activation_db import decode_trace, encode_trace
from aspen.errors import InvalidInput, MissingDependency
from aspen.seed_manager import Difference, Edit, apply_edit, compare_runs, draw_heat_map, heat_map
from aspen.seed_manager.heat_map import SHADES
from aspen.testing.fake_model import FakeModel
from aspen.types import TraceLevel

TRACE = decode_trace(encode_trace(traced(), level=TraceLevel.POOLED))


def changed(model: FakeModel | None = None, **edit: object) -> Difference:
    model = model or FakeModel()
    return compare_runs(model, TRACE, apply_edit(model, TRACE, Edit(**edit)))  # type: ignore[arg-type]


def test_another_message_parts_at_its_first_token_and_never_before() -> None:
    difference = changed(message="Where does Tara live?")
    assert difference.faithful
    assert difference.first is not None
    pair = difference.tokens[difference.first]
    assert (pair.before_text, pair.after_text, pair.in_prompt) == ("M", "T", True)
    found = difference.divergence
    assert found.rounding < 1e-5
    assert pair.before is not None
    assert (found.before > pair.before).all()
    assert (
        difference.before.texts[found.before[0]] == difference.after.texts[found.after[0]] == found.texts[0]
    )
    assert (found.distances[0] == 0).all()  # the embedding of one token is the same wherever it stands
    assert (found.distances[1:, 0] > 0.01).all()  # the token right behind looks back at the one that differs
    assert found.strongest is not None
    assert found.distances[found.strongest] == found.distances.max()
    assert found.by_layer.shape == (4,)


def test_distances_are_those_of_the_residual_streams() -> None:
    difference = changed(message="Where does Tara live?")
    found = difference.divergence
    before, after = difference.before.states, difference.after.states
    for place in (0, len(found.texts) // 2, -1):
        was, now = before[:, found.before[place]], after[:, found.after[place]]
        expected = np.linalg.norm(now - was, axis=1) / np.linalg.norm(was, axis=1)
        np.testing.assert_allclose(found.distances[:, place], expected, rtol=1e-4, atol=1e-7)


def test_another_seed_leaves_the_prompt_bit_equal() -> None:
    difference = changed(seed=6)
    assert difference.first is not None
    assert not difference.tokens[difference.first].in_prompt
    assert difference.divergence.rounding == 0
    assert all(pair.same for pair in difference.tokens if pair.in_prompt)
    assert difference.explain().startswith(
        "seed 5 -> 6: the reply differs; the first token that differs is in the reply"
    )
    texts = "".join(pair.after_text or "" for pair in difference.tokens if not pair.in_prompt)
    assert texts.removesuffix("<|im_end|>") == difference.after.reply


def test_every_token_of_both_runs_stands_in_one_pair_in_order() -> None:
    difference = changed(message="Tell me where the sister of Ann lives.", seed=9)
    for side, run in (("before", difference.before), ("after", difference.after)):
        positions = [getattr(pair, side) for pair in difference.tokens]
        assert [p for p in positions if p is not None] == list(range(len(run.token_ids)))
    for pair in difference.tokens:
        assert pair.same == (pair.before_text == pair.after_text and None not in (pair.before, pair.after))


def test_a_change_without_effect_says_so() -> None:
    model = FakeModel(say=lambda prompt: "Very well.")
    trace = replace(traced(model), digest=TRACE.digest)
    difference = compare_runs(model, trace, apply_edit(model, trace, Edit(seed=77)))
    assert difference.first is None
    assert difference.divergence.distances.shape == (4, 0)
    assert difference.explain() == "seed 5 -> 77: the same tokens came out."
    assert heat_map(difference.divergence) is None
    assert difference.divergence.strongest is None
    assert not difference.faithful  # the digest was another trace's


def test_another_model_is_not_faithful_and_a_smaller_vocabulary_is_refused() -> None:
    assert not changed(FakeModel(seed=3), seed=6).faithful
    trace = replace(TRACE, token_ids=TRACE.token_ids + 100_000)
    with pytest.raises(InvalidInput, match="vocabulary"):
        compare_runs(FakeModel(), trace, apply_edit(FakeModel(), TRACE, Edit(seed=6)))


def test_a_real_transformer_parts_there_too() -> None:
    model = tiny_model()
    trace = traced(model)
    edited = apply_edit(model, trace, Edit(message="Where does Mara go?"))
    difference = compare_runs(model, trace, edited)
    assert difference.faithful
    assert difference.first is not None
    assert difference.divergence.rounding < 1e-5
    assert difference.divergence.distances[1:, 0].min() > 1e-4


def test_the_heat_map_has_the_shape_of_what_it_shows() -> None:
    divergence = changed(message="Where does Tara live?").divergence
    drawn = heat_map(divergence, width=200)
    assert drawn is not None
    assert drawn.labels == ("layer 3", "layer 2", "layer 1", "layer 0")
    assert {len(row) for row in drawn.rows} == {len(divergence.texts)}
    assert set("".join(drawn.rows)) <= set(SHADES)
    assert drawn.rows[-1] == " " * len(divergence.texts)
    layer, place = divergence.strongest or (0, 0)
    assert drawn.rows[3 - layer][place] == SHADES[-1]
    assert drawn.scale == pytest.approx(divergence.distances.max())
    assert drawn.tokens == "one token each"
    assert drawn.lines()[0].startswith(" layer 3 ")


def test_a_narrow_heat_map_shows_means() -> None:
    divergence = changed(message="Where does Tara live?").divergence
    drawn = heat_map(divergence, width=20, most_rows=2)
    assert drawn is not None
    assert drawn.labels == ("2-3", "0-1")
    assert {len(row) for row in drawn.rows} == {11}
    assert f"{len(divergence.texts)} tokens in 11 columns" == drawn.tokens


@pytest.mark.parametrize("edit", [{"message": "Where does $Tara$ live?"}, {"seed": 6}], ids=str)
def test_the_heat_map_is_drawn(tmp_path: Path, edit: dict[str, Any]) -> None:
    pytest.importorskip("matplotlib")
    draw_heat_map(tmp_path / "heat.png", changed(**edit))
    assert (tmp_path / "heat.png").read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_drawn_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    difference = changed(seed=6)
    with pytest.raises(InvalidInput, match=r"\.png"):
        draw_heat_map(tmp_path / "heat.txt", difference)
    with pytest.raises(InvalidInput, match="no folder"):
        draw_heat_map(tmp_path / "nowhere" / "heat.png", difference)
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(MissingDependency, match=r'pip install "aspen-memory\[benchmark\]"'):
        draw_heat_map(tmp_path / "heat.png", difference)
