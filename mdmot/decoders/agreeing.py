"""Temperature 0: how often a decoder writes what one position a step would have written."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Int

from mdmot._types import PRNGKey
from mdmot.arguments import whole
from mdmot.decoders.decoder import Run
from mdmot.decoders.measuring import padded, row_keys
from mdmot.errors import InputError
from mdmot.metrics import Share, share_of
from mdmot.model import Model
from mdmot.samplers import sample


class Decoded(NamedTuple):
    """Sequences that a decoder wrote.

    Attributes:
      tokens: One sequence a row.
      network_calls: Calls of each.
      is_law: Whether every distribution that the row met was one. A row that was led into a state of
        probability 0, as likeliest tokens written at once may, meets none; it is decoded to the end.
    """

    tokens: Int[np.ndarray, "rows length"]
    network_calls: Int[np.ndarray, " rows"]
    is_law: Bool[np.ndarray, " rows"]


def decode(
    key: PRNGKey,
    run: Run,
    model: Model,
    tokens: np.ndarray,
    *,
    batch_size: int = 256,
    max_steps: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Decoded:
    """Runs a decoder on sequences with masks, a batch at a time.

    Row r has its randomness from fold_in(fold_in(key, 0), r), as in the first draw of `measure`.

    Args:
      key: What orders, and tokens unless the likeliest are taken, are drawn from.
      run: The decoder at its steps; for temperature 0 made with the choice `Likeliest()`.
      model: The network.
      tokens: Sequences [rows, length] with masks.
      batch_size: Rows of a network call, at most.
      max_steps: Steps that grids are padded to: one compiled program then serves all numbers of steps.
      progress: Called as `progress(batches done, batches in all)`.

    Returns:
      The sequences, their calls, and whether all went well.

    Raises:
      InputError: For the reasons of `mdmot.sample`.

    Example:
      >>> import jax
      >>> from mdmot.decoders import parse_decoder
      >>> from mdmot.distributions import read_law
      >>> from mdmot.samplers import Likeliest
      >>> law, start = read_law("parity:length=3"), np.array([[1, 0, 2], [1, 2, 0]])
      >>> run = parse_decoder("entropy").at(1, 1, Likeliest())
      >>> decode(jax.random.key(0), run, law.model(), start).tokens.tolist()
      [[1, 0, 1], [1, 1, 0]]
    """
    start = np.asarray(tokens)
    if start.ndim != 2 or start.size == 0 or not np.issubdtype(start.dtype, np.integer):
        raise InputError(f"tokens are {start.dtype}{list(start.shape)}; pass integers [rows, length]")
    size = min(whole("batch_size", batch_size), len(start))
    batches, grid = -(-len(start) // size), padded(run.grid, max_steps)
    parts = []
    for batch in range(batches):
        place = np.arange(batch * size, min(len(start), (batch + 1) * size))
        row = np.resize(place, size)
        found = sample(
            row_keys(key, jnp.zeros(size, jnp.uint32), jnp.asarray(row, jnp.uint32)),
            run.rule,
            model,
            grid,
            jnp.asarray(start[row].astype(np.int32)),
        )
        parts.append([np.asarray(each)[: len(place)] for each in found])
        if progress is not None:
            progress(batch + 1, batches)
    return Decoded(*(np.concatenate(each) for each in zip(*parts, strict=True)))


class Agreement(NamedTuple):
    """What a decoder wrote at temperature 0, beside what one position a step wrote.

    Attributes:
      tokens: Share of the masked positions, row by row alike, with the same token.
      sequences: Share of the rows that are the same as a whole.
      network_calls: Mean calls of a row.
      right: Share of the rows that are right, where it can be decided; None if it was not asked.
      reference_right: That of the reference.
      no_law: Share of the rows that were led into a state of probability 0.
    """

    tokens: float
    sequences: Share
    network_calls: float
    right: Share | None
    reference_right: Share | None
    no_law: Share


def agreement(
    decoded: Decoded,
    reference: Decoded,
    is_masked: Bool[np.ndarray, "rows length"],
    right: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Agreement:
    """Compares what two decoders wrote into the same sequences.

    Args:
      decoded: By the decoder, with likeliest tokens.
      reference: By `Decoder.one_at_a_time`, with likeliest tokens, from the same key.
      is_masked: The positions that were masked; at least one in each row.
      right: `right(tokens)` decides whether each row is right; a row that met a state of probability 0
        is judged as any other.

    Returns:
      The shares. Agreement is not correctness: the reference may be wrong.

    Raises:
      InputError: If the shapes do not fit, a row has no masked position, or `right` returns something
        else than a boolean a row.

    Example:
      >>> ok, calls = np.ones(2, bool), np.array([1, 1])
      >>> one, other = (Decoded(np.array(x), calls, ok) for x in ([[0, 1], [1, 1]], [[0, 1], [1, 0]]))
      >>> found = agreement(one, other, np.ones((2, 2), bool), lambda tokens: tokens[:, 0] == 0)
      >>> found.tokens, found.sequences.value, found.right.value
      (0.75, 0.5, 0.5)
    """
    if not decoded.tokens.shape == reference.tokens.shape == np.shape(is_masked):
        raise InputError(
            f"sequences {list(decoded.tokens.shape)}, reference {list(reference.tokens.shape)} and masks "
            f"{list(np.shape(is_masked))}; pass the same rows"
        )
    number = is_masked.sum(axis=1)
    if not number.all():
        raise InputError(f"row {np.argmin(number)} has no masked position; leave it out")
    same, rows = (decoded.tokens == reference.tokens) & is_masked, len(number)
    whole_rows = int((same.sum(axis=1) == number).sum())
    return Agreement(
        tokens=float((same.sum(axis=1) / number).mean()),
        sequences=share_of(whole_rows, rows),
        network_calls=float(decoded.network_calls.mean()),
        right=_judged(decoded.tokens, right),
        reference_right=_judged(reference.tokens, right),
        no_law=share_of(int((~decoded.is_law).sum()), rows),
    )


def _judged(tokens: np.ndarray, right: Callable[[np.ndarray], np.ndarray] | None) -> Share | None:
    if right is None:
        return None
    verdict = np.asarray(right(tokens))
    if verdict.dtype != bool or verdict.shape != (len(tokens),):
        raise InputError(
            f"right returns {verdict.dtype}{list(verdict.shape)} for {len(tokens)} rows; return a boolean "
            "for each"
        )
    return share_of(int(verdict.sum()), len(tokens))
