"""The exact likelihood of a decoder on many sequences, a batch at a time."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from mdmot._types import PRNGKey
from mdmot.arguments import whole
from mdmot.decoders.decoder import Run
from mdmot.decoders.measured import Measured
from mdmot.decoders.sequences import Sequences
from mdmot.errors import InputError
from mdmot.model import Model
from mdmot.samplers import log_likelihood
from mdmot.schedules import StepGrid
from mdmot.schedules.grids import pad_grid


def measure(
    key: PRNGKey,
    run: Run,
    model: Model,
    sequences: Sequences,
    *,
    draws: int = 1,
    batch_size: int = 256,
    max_steps: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Measured:
    """Measures log q(x|u) of all sequences for some draws of u, and the network calls that it takes.

    Nothing is generated: the clean tokens are handed to the loop that samples. Row r of draw d has its
    randomness from fold_in(fold_in(key, d), r), whatever the decoder and the batches: decoders measured
    from one key have common random numbers.

    Args:
      key: What u is drawn from.
      run: The decoder at its steps, `Decoder.at`.
      model: The network.
      sequences: The clean rows.
      draws: Draws of u for each row; of a decoder without randomness there is only one. The mixture over
        orders is estimated from them, and where the rows are the whole support of a law, the error.
      batch_size: Rows of a network call, at most.
      max_steps: Steps that grids are padded to: one compiled program then serves all numbers of steps.
      progress: Called as `progress(batches done, batches in all)`.

    Returns:
      The likelihoods and the calls.

    Raises:
      InputError: If the rule has no likelihood, a number is too small, the network's logits are no
        distribution, or for the reasons of `mdmot.log_likelihood`.

    Example:
      >>> from mdmot.decoders import law_sequences, parse_decoder
      >>> from mdmot.distributions import read_law
      >>> law = read_law("parity:length=3")
      >>> run = parse_decoder("left-to-right").at(2, num_masked=3)
      >>> found = measure(jax.random.key(0), run, law.model(), law_sequences(law, 100))
      >>> round(found.loss.value, 4), found.calls, run.counts  # two of three bits, then one: exact
      (0.0, 2.0, (2, 1))
    """
    draws = whole("draws", draws) if run.is_random else 1
    rows, total = len(sequences.tokens), draws * len(sequences.tokens)
    size = min(whole("batch_size", batch_size), total)
    batches = -(-total // size)
    grid = padded(run.grid, max_steps)
    log_q, calls = np.zeros(total), np.zeros(total, np.int64)
    for batch in range(batches):
        place = np.arange(batch * size, min(total, (batch + 1) * size))
        # The last batch is filled up with repeats: one shape for all.
        draw, row = np.divmod(np.resize(place, size), rows)
        found = log_likelihood(
            row_keys(key, jnp.asarray(draw, jnp.uint32), jnp.asarray(row, jnp.uint32)),
            run.rule,
            model,
            grid,
            jnp.asarray(sequences.tokens[row]),
            jnp.asarray(sequences.given[row]),
        )
        finite = np.asarray(found.finite)
        if not finite.all():
            raise InputError(
                f"the network's logits for row {row[np.argmin(finite)]} are no distribution: nan, +inf or "
                "all -inf; check its weights, and that its law can make the row"
            )
        log_q[place] = np.asarray(found.log_prob, np.float64)[: len(place)]
        calls[place] = np.asarray(found.network_calls)[: len(place)]
        if progress is not None:
            progress(batch + 1, batches)
    return Measured(sequences, log_q.reshape(draws, rows), calls.reshape(draws, rows), run.is_random)


@jax.jit
def row_keys(key: jax.Array, draw: jax.Array, row: jax.Array) -> jax.Array:
    """The key of each row of each draw, whatever the decoder and the batch."""
    fold_in = jax.random.fold_in
    return jax.vmap(lambda d, r: fold_in(fold_in(key, d), r))(draw, row)


def padded(grid: StepGrid | None, max_steps: int | None) -> StepGrid | None:
    """The grid with unused steps at its end, if it is one and has fewer."""
    if grid is None or max_steps is None:
        return grid
    return pad_grid(grid, max(max_steps, grid.reveal.shape[0]))
