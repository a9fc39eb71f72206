"""How likely sequences are under a sampler of K steps, by teacher forcing along its orders."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int, Integer

from mdmot.errors import InputError
from mdmot.information import Reveals, Scorer
from mdmot.information.scorers import assert_scorer
from mdmot.orders import Order, RandomOrder

Rows = Integer[np.ndarray, "num length"] | Integer[Array, "num length"]


class SamplerLikelihood(NamedTuple):
    """Log-likelihoods of sequences under a sampler, in nats; -inf where it cannot make one.

    Attributes:
      log_likelihood: Of each sequence, the logarithm of the mean of q(x | order) over the orders drawn. The
        mean has no bias, so that its logarithm is at most log q(x) on average (Jensen), and never
        further below it the more orders there are.
      path_log_likelihood: The mean of log q(x | order): what one order alone gives on average, below
        the former.
      orders: Number of orders of each sequence.
    """

    log_likelihood: Float[np.ndarray, " num"]
    path_log_likelihood: Float[np.ndarray, " num"]
    orders: int


def sampler_likelihood(
    seed: int,
    scorer: Scorer,
    tokens: Rows,
    plan: Reveals,
    *,
    orders: int,
    batch_size: int,
    order: Order = RandomOrder(),  # noqa: B008 a value
    progress: Callable[[int, int], None] | None = None,
) -> SamplerLikelihood:
    r"""Estimates log q(x) for a sampler that goes by an order, drawing tokens as they are.

    The sampler reveals the sets A_1, ..., A_K in turn, drawn apart from the tokens; given them,
    q(x | A) is the product over the steps of :math:`\prod_{i \in A_k} \mu_i(x_i | x_{A_1 \cup ... \cup
    A_{k-1}})`, which takes one network call for each step that reveals something. q(x) is its mean over A.

    Args:
      seed: Of the orders, at least 0; those of a sequence depend on it and on the number of its row alone.
      scorer: The network: `mdmot.information.jax_scorer` of any model.
      tokens: Clean sequences, one a row.
      plan: How its steps reveal tokens: `mdmot.plans.Fixed` for `FixedUnmasking` in random order,
        `mdmot.plans.Bernoulli` for `BernoulliUnmasking`; both at temperature 1, without truncation.
      orders: Orders of each sequence, at least 1; more than 1 are the same if nothing is random in it.
      batch_size: Rows of a call of the scorer, at least 1.
      order: The order of the positions.
      progress: Called after each call with the number of states done and that of all.

    Returns:
      The log-likelihoods.

    Raises:
      InputError: If the arguments do not fit together, or a loss of the network is no number.

    Example:
      >>> from mdmot.information import callable_scorer
      >>> from mdmot.plans import Fixed
      >>> scorer = callable_scorer(lambda tokens: np.zeros((*tokens.shape, 2)), mask_id=2)
      >>> rows, plan = np.array([[0, 1, 1, 0]]), Fixed([1, 3])
      >>> found = sampler_likelihood(0, scorer, rows, plan, orders=3, batch_size=4)
      >>> round(float(np.exp(found.log_likelihood[0])), 6)
      0.0625

    References:
      Feng et al., arXiv:2502.09622 (the token error rate, whose law this is); Burda et al.,
      arXiv:1509.00519 (bounds by the logarithm of a mean).
    """
    assert_scorer(scorer)
    rows = np.asarray(tokens)
    if rows.ndim != 2 or 0 in rows.shape or min(orders, batch_size) < 1 or seed < 0:
        raise InputError(
            f"tokens {list(rows.shape)}, orders = {orders}, batch_size = {batch_size}, seed = {seed}; pass "
            "sequences [num, length], numbers of at least 1 and a seed of at least 0"
        )
    num, length = rows.shape
    paths = [_steps(seed, row, length, plan, orders, order) for row in range(num)]
    step = np.stack(paths).reshape(-1, length)
    # One state for each step of each path that reveals something: all others cost nothing.
    most = step.max() + 1
    states = np.unique(np.arange(num * orders)[:, None] * most + step)
    path_log = np.zeros(num * orders)
    for start in range(0, len(states), batch_size):
        # The last batch is filled up with repeats: one shape for all.
        some = np.resize(np.arange(start, min(start + batch_size, len(states))), batch_size)
        path, now = np.divmod(states[some], most)
        clean, of_path = rows[path // orders], step[path]
        masked = np.where(of_path >= now[:, None], np.int64(scorer.mask_id), clean)
        losses = np.asarray(scorer(masked, clean))
        is_now = of_path == now[:, None]
        _require_losses(losses, is_now, clean)
        costs = np.where(is_now, losses, 0.0).sum(axis=1, dtype=np.float64)
        real = min(batch_size, len(states) - start)
        np.subtract.at(path_log, path[:real], costs[:real])
        if progress is not None:
            progress(start + real, len(states))
    path_log = path_log.reshape(num, orders)
    peak = path_log.max(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        shifted = np.exp(path_log - np.where(np.isfinite(peak), peak, 0.0)).mean(axis=1)
        log_likelihood = np.log(shifted) + np.where(np.isfinite(peak), peak, 0.0)[:, 0]
    return SamplerLikelihood(log_likelihood, path_log.mean(axis=1), orders)


def _steps(
    seed: int, row: int, length: int, plan: Reveals, orders: int, order: Order
) -> Int[np.ndarray, "orders length"]:
    """The step in which each position of a row is revealed, along each of its orders."""
    uniforms = np.random.default_rng([seed, 6, row]).random((orders, length))
    if order == RandomOrder():
        rank = uniforms.argsort(axis=1).argsort(axis=1)
    else:
        keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), row), orders)
        rank = np.asarray(order(keys, jnp.ones((orders, length), bool)))
    # A position is revealed in the step at whose end more tokens are known than come before it.
    return np.stack(
        [
            np.searchsorted(plan.cuts(np.sort(one)), place, side="right") - 1
            for one, place in zip(uniforms, rank, strict=True)
        ]
    )


def _require_losses(losses: np.ndarray, is_read: np.ndarray, clean: np.ndarray) -> None:
    if losses.shape != clean.shape or losses.dtype.kind != "f":
        raise InputError(
            f"the scorer returned {losses.dtype}{list(losses.shape)} for tokens {list(clean.shape)};"
            " return the losses -log mu(clean token) as floats of the tokens' shape"
        )
    # +inf is a token that the sampler never draws; rounding may take a certain one's a little below 0.
    wrong = np.argwhere(is_read & ~(losses > -1e-3))
    if wrong.size:
        row, position = wrong[0]
        raise InputError(
            f"the model's loss -log mu is {losses[row, position]} for token {clean[row, position]} at "
            f"position {position}; expected a number of at least 0, or inf: look for nan logits, a scorer "
            "of another mask, and states that the model holds impossible"
        )
