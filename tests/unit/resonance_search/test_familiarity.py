import numpy as np
import pytest

from aspen.repository import Postings
from aspen.resonance_search.familiarity import familiarity
from aspen.resonance_search.keyword import PromptWords
from aspen.types import FloatArray


def posting(*seqs: int) -> Postings:
    return Postings(np.array(seqs, dtype=np.int64), np.arange(len(seqs), dtype=np.int32))


def column(*values: float) -> FloatArray:
    return np.array(values, dtype=np.float32)


def test_coverage_is_the_share_of_the_prompts_words_by_their_rarity() -> None:
    seqs = np.array([1, 2, 3, 4])
    common, rare, nowhere = posting(1, 1, 2, 3, 9), posting(2), posting()
    shares = PromptWords((1, 1, 3), (common, rare, nowhere), seqs).coverage()
    idf = [np.log1p(1.5 / 3.5), np.log1p(3.5 / 1.5), np.log1p(4.5 / 0.5)]
    assert shares.tolist() == pytest.approx(np.array([idf[0], idf[0] + idf[1], idf[0], 0]) / sum(idf))
    assert PromptWords((), (), seqs).coverage().tolist() == [0, 0, 0, 0]
    assert PromptWords((1,), (common,), seqs[:0]).coverage().tolist() == []


def test_more_words_and_a_higher_cosine_are_more_familiar() -> None:
    rising = column(0, 0.3, 0.6, 1)
    for given in ((rising, None), (None, rising), (rising, rising)):
        values = familiarity(*given)
        assert np.all(np.diff(values) > 0)
        assert 0 < values[0] < 0.1
        assert 0.9 < values[-1] <= 1
    assert familiarity(None, None).tolist() == []
