import hashlib

import numpy as np
import pytest

from aspen.activation_logger.digest import cell_digests, first_difference, states_digest
from aspen.errors import InvalidInput
from aspen.types import FloatArray


def states(layers: int = 4, tokens: int = 6, width: int = 8) -> FloatArray:
    return np.random.default_rng(0).standard_normal((layers, tokens, width), dtype=np.float32)


def test_the_digest_is_sha256_of_shape_and_little_endian_bytes() -> None:
    x = states()
    expected = hashlib.sha256(b"aspen-activations-1 <f4 4x6x8\n" + x.astype("<f4").tobytes()).hexdigest()
    assert states_digest(x) == expected


def test_a_cell_is_blake2b_of_one_vector() -> None:
    x = states()
    expected = hashlib.blake2b(x[2, 3].astype("<f4").tobytes(), digest_size=4).digest()
    assert cell_digests(x)[2, 3] == int.from_bytes(expected, "little")


def test_strided_input_has_the_digest_of_its_values() -> None:
    x = states()
    turned = np.asfortranarray(x)
    assert states_digest(turned) == states_digest(x)
    np.testing.assert_array_equal(cell_digests(x[:, ::2]), cell_digests(x)[:, ::2])


def test_equality_is_of_bits_and_of_shape() -> None:
    x = np.zeros((2, 3, 4), dtype=np.float32)
    assert states_digest(-x) != states_digest(x)
    assert states_digest(x.reshape(3, 2, 4)) != states_digest(x)


def test_one_changed_bit_is_named_by_token_and_lowest_layer() -> None:
    x, y = states(), states()
    y.view(np.uint32)[2, 3, 5] ^= 1
    y[3, 3:] += 1
    y[0, 5] += 1
    assert states_digest(x) != states_digest(y)
    assert first_difference(cell_digests(x), cell_digests(y)) == (2, 3)


def test_equal_shorter_and_unlike_grids() -> None:
    grid = cell_digests(states())
    assert first_difference(grid, grid.copy()) is None
    assert first_difference(grid, grid[:, :4]) == (0, 4)
    with pytest.raises(InvalidInput, match="4 layers"):
        first_difference(grid, grid[:3])


@pytest.mark.parametrize(
    "bad", [np.zeros((2, 3)), np.zeros((1, 2, 3)), np.zeros((1, 0, 3), dtype=np.float32)]
)
def test_only_float32_activations_have_a_digest(bad: FloatArray) -> None:
    for digest in (states_digest, cell_digests):
        with pytest.raises(InvalidInput, match="float32"):
            digest(bad)
