import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.builders import drawn

from aspen.activation_db import decode_vectors, encode_vector
from aspen.types import FloatArray


def bodies(*vectors: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.stack([np.frombuffer(encode_vector(vector), dtype=np.uint8) for vector in vectors])


@given(arrays(np.float32, 8, elements=st.just(0.0) | st.floats(-1e4, 1e4, width=32, allow_subnormal=False)))
def test_encoded_vectors_are_off_by_half_a_step_of_int8_at_most(vector: FloatArray) -> None:
    (back,) = decode_vectors(bodies(vector))
    assert (np.abs(back - vector) <= np.abs(vector).max() / 127 / 2 * 1.001).all()


def test_many_keep_their_order_and_take_a_byte_a_number_and_four() -> None:
    first, second = drawn(8), drawn(8, seed=1)
    assert len(encode_vector(first)) == 4 + 8
    back = decode_vectors(bodies(first, second))
    assert back.shape == (2, 8)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back[1], second, atol=0.02)
