"""Scores of sampled sequences, as the objective of a search."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Int, Key

from mdmot._types import Tokens
from mdmot.errors import InputError
from mdmot.model import Model
from mdmot.samplers import Rule, SemiAutoregressive, raise_if_failed, sample
from mdmot.schedules.grids import StepGrid
from mdmot.tuning.records import Score


def sampled_score(
    key: Key[Array, ""],
    rule: Rule | SemiAutoregressive,
    model: Model,
    tokens: Tokens,
    rate: Callable[[np.ndarray, np.ndarray], ArrayLike],
    batch_size: int,
) -> Score:
    """Makes the score of a search out of a rule, a model and a function that rates its sequences.

    Example i is row i of `tokens`, begun again from the first when they run out, sampled with the key
    fold_in(key, i): two schedules meet the same prompts and the same noise. Batches are filled up to one
    size and the grid is traced, so that one compiled program serves the whole search.

    Args:
      key: Key of the search's common random numbers.
      rule: Any unmasking rule that reads a grid.
      model: What is sampled.
      tokens: Prompts or templates with masks to fill; one masked row serves free generation.
      rate: `rate(tokens, examples) -> [rows]` of NumPy tokens [rows, length] and the numbers of their
        examples; higher is better.
      batch_size: Rows sampled at once.

    Returns:
      `score(grid, examples) -> [examples]`.

    Raises:
      InputError: If batch_size is not positive; when called, if sampling fails or `rate` does not
        return a number a row.

    Example:
      >>> from mdmot import FixedUnmasking, Model, masks, step_grid
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 2))
      >>> model = Model(denoiser, jnp.zeros(2), mask_id=2)
      >>> score = sampled_score(
      ...     jax.random.key(0), FixedUnmasking(), model, jnp.full((1, 4), 2),
      ...     lambda tokens, examples: (tokens == 0).sum(axis=1), batch_size=8,
      ... )
      >>> score(step_grid(masks.linear(), 2), np.arange(3)).shape
      (3,)
    """
    if batch_size < 1:
        raise InputError(f"batch_size = {batch_size}; pass at least 1")

    def score(grid: StepGrid, examples: np.ndarray) -> np.ndarray:
        scores = []
        for first in range(0, len(examples), batch_size):
            wanted = examples[first : first + batch_size]
            rows = np.resize(wanted, batch_size)
            given = tokens[jnp.asarray(rows % tokens.shape[0])]
            result = sample(_row_keys(key, jnp.asarray(rows)), rule, model, grid, given)
            raise_if_failed(result)
            sampled = np.asarray(result.tokens)[: len(wanted)]
            rated = np.asarray(rate(sampled, wanted))
            if rated.shape != (len(wanted),):
                raise InputError(
                    f"rate returned shape {list(rated.shape)} for {len(wanted)} rows; return a number a row"
                )
            scores.append(rated)
        return np.concatenate(scores)

    return score


@jax.jit
def _row_keys(key: Key[Array, ""], rows: Int[Array, " batch"]) -> Key[Array, " batch"]:
    return jax.vmap(jax.random.fold_in, (None, 0))(key, rows)
