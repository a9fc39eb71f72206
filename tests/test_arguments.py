"""The checks that many arguments share."""

import jax
import numpy as np
import pytest

from mdmot.arguments import is_whole, whole
from mdmot.errors import InputError


@pytest.mark.parametrize("value", [2, 3, np.int32(2), np.uint8(200), 10**30])
def test_whole_numbers_are_taken_as_ints(value):
    assert is_whole(value, 2)
    found = whole("size", value, 2)
    assert type(found) is int
    assert found == value


@pytest.mark.parametrize("value", [1, -3, True, 2.0, np.float64(2), "2", None, np.array([2]), np.bool_(1)])
def test_what_is_no_whole_number_of_at_least_two_is_refused(value):
    assert not is_whole(value, 2)
    with pytest.raises(InputError, match=r"^size = .* is not a whole number of at least 2; pass one$"):
        whole("size", value, 2)


def test_the_least_number_is_one_unless_said():
    assert whole("size", 1) == 1
    assert whole("seed", 0, 0) == 0
    with pytest.raises(InputError, match="size = 0 is not a whole number of at least 1"):
        whole("size", 0)


def test_a_traced_number_is_no_whole_number():
    assert not jax.eval_shape(lambda x: np.zeros(int(is_whole(x, 1))), 3).size
