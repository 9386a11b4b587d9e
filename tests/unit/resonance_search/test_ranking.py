from collections.abc import Sequence

import numpy as np
import pytest
from tests.builders import drawn, like_new

from aspen.memory_graph import TurnGraph
from aspen.repository import NO_TIME
from aspen.resonance_search.entities import NameActivation
from aspen.resonance_search.ranking import Ranked, Ranking, RankingSettings
from aspen.resonance_search.snapshot import Candidates

SETTINGS = RankingSettings()


def chain(n: int, *, tokens: Sequence[int] = (), sessions: Sequence[int] = ()) -> Candidates:
    """Turns of one conversation: each linked to the next and back."""
    before, behind = np.arange(n - 1), np.arange(1, n)
    return Candidates(
        conversation=None,
        rows=None,
        seqs=np.arange(1, n + 1),
        subjects=np.zeros(n, dtype=np.int64),
        subject_codes={},
        subject_names=[None],
        traits={},
        provenances=np.array(["said"] * n),
        speakers=np.zeros(n, dtype=np.int64),
        speaker_codes={None: 0},
        tags=[()] * n,
        priority=like_new(n),
        corrected_by={},
        said_at=np.full(n, NO_TIME),
        token_counts=np.array(tokens or [10] * n, dtype=np.int32),
        term_counts=np.full(n, 5, dtype=np.int32),
        sessions=np.array(sessions or [0] * n, dtype=np.int64),
        time_graph=TurnGraph.of(
            n_nodes=n,
            sources=np.concatenate([before, behind]),
            targets=np.concatenate([behind, before]),
            weights=np.ones(2 * max(n - 1, 0)),
        ),
    )


def ranking(
    candidates: Candidates,
    *scores: Sequence[float],
    spread: bool = True,
    settings: RankingSettings = SETTINGS,
    prior: Sequence[float] = (),
    over_names: NameActivation | None = None,
) -> Ranking:
    arms = {f"arm{i}": np.array(values, dtype=np.float32) for i, values in enumerate(scores)}
    priors = {"prior": np.array(prior, dtype=np.float32)} if prior else {}
    return Ranking(candidates, arms, priors, over_names=over_names, spread=spread, settings=settings)


def by_name(*arrived: float) -> NameActivation:
    """What arrived at each row, all of it from row 0 over the name "oslo"."""
    origins = {row: (0, "oslo") for row, value in enumerate(arrived) if value > 0}
    return NameActivation(np.array(arrived), origins)


def top(of: Ranking, n: int, *, limit: int = 100) -> list[Ranked]:
    return of.top(limit, allowed=np.ones(n, dtype=np.bool_))


def by_row(of: Ranking, n: int) -> dict[int, Ranked]:
    return {ranked.row: ranked for ranked in top(of, n)}


def test_a_score_is_the_sum_of_its_parts_and_paths_sum_to_what_neighbours_brought() -> None:
    candidates = chain(6, tokens=[10, 500, 10, 240, 10, 10], sessions=[0, 0, 1, 1, 2, 2])
    ranked = top(ranking(candidates, drawn(6).tolist(), drawn(6, seed=1).tolist()), 6)
    assert [hit.score for hit in ranked] == sorted((hit.score for hit in ranked), reverse=True)
    for hit in ranked:
        assert set(hit.parts) == {"arm0", "arm1", "neighbours", "session"}
        assert hit.score == pytest.approx(sum(hit.parts.values()), abs=1e-6)
        brought = sum(path.contribution for path in hit.paths)
        # Three paths are kept; a chain of six with three hops has up to six.
        assert brought <= hit.parts["neighbours"] + 1e-5
        assert len(hit.paths) == 3 or brought == pytest.approx(hit.parts["neighbours"], abs=1e-5)
        assert all(path.nodes[-1] == hit.row + 1 for path in hit.paths)


def test_activation_spreads_from_what_stands_out_and_halves_at_each_turn() -> None:
    hits = by_row(ranking(chain(5), [8, -2, -2, -2, -2]), 5)
    assert [hits[row].parts["neighbours"] for row in range(5)] == [0, 4, 2, 1, 0]
    assert [path.nodes for path in hits[2].paths] == [(1, 2, 3)]


def test_what_lies_below_the_mean_spreads_nothing() -> None:
    hits = by_row(ranking(chain(3), [-1, -1, -1]), 3)
    assert all(hit.parts["neighbours"] == 0 and hit.paths == () for hit in hits.values())


def test_a_long_memory_takes_in_proportionally_less() -> None:
    hits = by_row(ranking(chain(3, tokens=[480, 10, 120]), [0, 4, 0]), 3)
    assert hits[0].parts["neighbours"] == pytest.approx(2 * 120 / 480)
    assert hits[0].paths[0].contribution == pytest.approx(2 * 120 / 480)
    assert hits[2].parts["neighbours"] == pytest.approx(2)


def test_a_memory_without_tokens_takes_in_all() -> None:
    assert by_row(ranking(chain(2, tokens=[0, 10]), [0, 4]), 2)[0].parts["neighbours"] == pytest.approx(2)


def test_the_best_of_a_session_lifts_the_others_of_it() -> None:
    settings = RankingSettings(hops=0, session_weight=0.5)
    hits = by_row(ranking(chain(4, sessions=[0, 0, 1, 1]), [3, 0, 1, 0], settings=settings), 4)
    assert [hits[row].parts["session"] for row in range(4)] == [0.5, 0.5, -0.5, -0.5]


def test_without_spreading_the_arms_alone_decide() -> None:
    ranked = top(ranking(chain(3), [1, 0, 2], [0, 3, 0], spread=False), 3)
    assert [hit.row for hit in ranked] == [1, 2, 0]
    assert ranked[0].parts == {"arm0": 0.0, "arm1": 3.0}
    assert all(hit.paths == () for hit in ranked)


def test_ties_go_to_the_older_memory_and_the_limit_holds() -> None:
    even = ranking(chain(4), [1, 2, 1, 2], spread=False)
    assert [hit.row for hit in top(even, 4)] == [1, 3, 0, 2]
    assert [hit.row for hit in top(even, 4, limit=3)] == [1, 3, 0]


def test_what_is_not_allowed_is_not_returned_and_still_passes_activation_on() -> None:
    spread = ranking(chain(3), [4, 0, 0])
    allowed = np.array([False, True, True])
    assert [hit.row for hit in spread.top(10, allowed=allowed)] == [1, 2]
    assert spread.top(10, allowed=allowed)[0].parts["neighbours"] == 2
    assert spread.top(10, allowed=np.zeros(3, dtype=np.bool_)) == []


def test_no_arms_and_no_candidates_make_no_scores() -> None:
    assert [hit.score for hit in top(ranking(chain(2)), 2)] == [0, 0]
    assert top(ranking(chain(0), []), 0) == []


def test_priors_lift_a_memory_itself_and_do_not_spread() -> None:
    hits = by_row(ranking(chain(3), [0, 0, 0], prior=[5, 0, 0]), 3)
    assert hits[0].parts["prior"] == hits[0].score == 5
    assert hits[1].parts["neighbours"] == 0


def test_of_time_and_names_the_greater_counts_and_gives_the_path() -> None:
    hits = by_row(ranking(chain(4), [4, 0, 0, 0], over_names=by_name(0, 1.5, 1.5, 0)), 4)
    assert (hits[1].parts["neighbours"], hits[1].parts["names"]) == (2, 0)
    assert (hits[2].parts["neighbours"], hits[2].parts["names"]) == (0, 1.5)
    assert [(path.nodes, path.via) for path in hits[2].paths] == [((1, 3), "oslo")]
    assert all(path.via == "" for path in hits[1].paths)


def test_the_two_best_direct_hits_stay_before_what_names_bring() -> None:
    settings = RankingSettings(hops=0)
    found = top(ranking(chain(5), [4, 3, 2, 1, 0], over_names=by_name(0, 0, 0, 6, 9), settings=settings), 5)
    assert [hit.row for hit in found] == [0, 1, 4, 3, 2]
    scores = [hit.score for hit in found]
    assert scores == sorted(scores, reverse=True)
    assert found[1].score > found[2].score
    for hit in found:
        assert hit.score == pytest.approx(sum(hit.parts.values()), abs=1e-5)


def test_what_time_brings_may_pass_the_best_direct_hits() -> None:
    found = top(ranking(chain(3, sessions=[0, 0, 0]), [3, 2.9, 3]), 3)
    assert found[0].row == 1
    assert "kept" not in found[0].parts
