import random

import numpy as np
import pytest

from aspen.errors import InvalidInput
from aspen.seed_manager import choose_seed
from aspen.validation import MAX_SEED


def test_a_given_seed_is_kept() -> None:
    assert [choose_seed(seed) for seed in (0, 7, MAX_SEED)] == [0, 7, MAX_SEED]


def test_fresh_seeds_are_in_range_and_owe_nothing_to_global_random_state() -> None:
    seeds = set()
    for _ in range(100):
        random.seed(1)
        np.random.seed(1)
        seeds.add(choose_seed(None))
    assert len(seeds) == 100
    assert all(0 <= seed <= MAX_SEED for seed in seeds)


@pytest.mark.parametrize("bad", [-1, MAX_SEED + 1, 1.0, "7", True])
def test_a_seed_out_of_range_is_refused(bad: int) -> None:
    with pytest.raises(InvalidInput, match="seed"):
        choose_seed(bad)
