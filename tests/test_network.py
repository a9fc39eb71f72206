"""Evaluating a network's head in chunks: every wanted position is visited, and no other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdmot.samplers.network import in_chunks


@pytest.mark.parametrize("length", [1, 8, 9, 17])
def test_chunks_visit_what_is_wanted(length):
    patterns = np.random.default_rng(length).random((6, length)) < np.linspace(0.1, 0.9, 6)[:, None]
    ends = np.zeros((4, length), bool)
    ends[0], ends[1, 0], ends[2, -1] = True, True, True  # all, the first, the last, none
    visit = jax.jit(
        lambda where: in_chunks(
            lambda positions: positions,
            where,
            lambda positions, logits: 10 * logits,
            jnp.full(where.shape, -1, jnp.int32),
        )
    )
    # Row by row too: the row with the most positions may not carry the others along.
    for where in (np.concatenate([patterns, ends]), *(np.tile(row, (10, 1)) for row in ends)):
        np.testing.assert_array_equal(
            visit(jnp.asarray(where)), np.where(where, 10 * np.arange(length), -1)
        )
