"""The exact likelihood of a decoder: the loop that samples, handed clean tokens in place of drawn ones."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Key

from mdmot._types import Tokens
from mdmot.errors import InputError
from mdmot.model import Model
from mdmot.plans import Plan
from mdmot.samplers.addressable import own_rows
from mdmot.samplers.admission import assert_inputs, once
from mdmot.samplers.blocks import SemiAutoregressive, described
from mdmot.samplers.loop import in_blocks, row_keys, until_done
from mdmot.samplers.network import Network
from mdmot.samplers.planned import as_grid
from mdmot.samplers.rule import Rule
from mdmot.samplers.steps import Likelihood
from mdmot.schedules.grids import StepGrid


def log_likelihood(
    keys: Key[Array, ""] | Key[Array, " batch"],
    rule: Rule | SemiAutoregressive,
    model: Model,
    grid: StepGrid | Plan | ArrayLike | None,
    tokens: Tokens,
    given: ArrayLike | None = None,
) -> Likelihood:
    """How likely a token-blind rule is to draw given sequences: log q(x | u), exactly, without sampling.

    A rule is token-blind if which positions a step reveals depends on the tokens known before it and on
    randomness u that is drawn apart from the tokens: an order, a shift, the trials of a schedule. The
    sets that are revealed on the way to x are then a function of x and u, and

        q(x | u) = prod over steps k, over positions i that step k reveals, of mu_i(x_i | what was known),

    where mu is what tokens are drawn from: the network's distribution after temperature, top-p, forbidden
    tokens, guidance and all. It sums to 1 over x for every u, and the mean of -log q(x | u) over data
    is the cross-entropy of the sampler: the entropy of the data plus KL(p || q(. | u)).

    The loop, the rule and its randomness are those of `sample`: with the same keys u is the same.

    Args:
      keys: One key, from which row i takes fold_in(key, i), or one key a row.
      rule: Which positions are revealed when, and how tokens are chosen; token-blind (`Rule.reads_drawn`).
        With `Likeliest` tokens nothing is drawn: q is 1 for one sequence and 0 for all others.
      model: The network, its weights and its mask.
      grid: The steps, or a plan, or None, as for `sample`.
      tokens: Clean sequences, one a row.
      given: Whether a position is not drawn but given, as a prompt is: bool [batch, length], or [length]
        for all rows alike; None if all are drawn.

    Returns:
      log q(x | u) of each row, in nats; -inf where a token cannot be drawn, as under top-p. The terms are
      in float32, as what tokens are drawn from is, whatever the precision of the network: some 1e-7 of each
      term; their sum is in JAX's default precision. Network calls
      and finiteness as `sample` reports them.

    Raises:
      InputError: If the rule is not token-blind, with the reason; else as for `sample`.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mdmot import FixedUnmasking, Model, masks, step_grid
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 2))
      >>> model = Model(denoiser, jnp.log(jnp.asarray([0.25, 0.75])), mask_id=2)
      >>> tokens, grid = jnp.asarray([[0, 1, 1]]), step_grid(masks.linear(), 2)
      >>> found = log_likelihood(jax.random.key(0), FixedUnmasking(), model, grid, tokens)
      >>> round(float(jnp.exp(found.log_prob[0])), 4), int(found.network_calls[0])  # 0.25 * 0.75 * 0.75
      (0.1406, 2)
    """
    start = _masked(model, tokens, given)
    grid = as_grid(grid, rule, model, start)
    assert_inputs(keys, rule, model, grid, tokens)
    _assert_clean(tokens, model.mask_id)
    assert_token_blind(rule)
    return _log_likelihood(keys, rule, model, grid, tokens, start)


@jax.jit
def _log_likelihood(
    keys: Array,
    rule: Rule | SemiAutoregressive,
    model: Model,
    grid: StepGrid | None,
    tokens: Tokens,
    start: Tokens,
) -> Likelihood:
    network = Network(model, clean=tokens)
    totals = in_blocks(until_done, row_keys(keys, tokens), rule, network, grid, start)[0].totals
    assert totals.log_prob is not None, "a likelihood is asked for"
    return Likelihood(totals.log_prob, totals.network_calls, totals.finite)


def assert_token_blind(rule: object) -> None:
    """Raises InputError, with the reason, unless a rule is known to be token-blind."""
    reason = getattr(rule, "reads_drawn", "does not say whether it is token-blind (Rule.reads_drawn)")
    if reason is not None:
        raise InputError(
            f"{described(rule)} has no likelihood: it {reason}; pass a token-blind rule, or compare samples"
        )


def _masked(model: object, tokens: Tokens, given: ArrayLike | None) -> Tokens:
    """What is known before the first step: the given tokens, and masks."""
    if not (isinstance(model, Model) and hasattr(tokens, "dtype")):
        return tokens  # refused with all else that is wrong
    mask = jnp.asarray(model.mask_id, tokens.dtype)
    if given is None:
        return jnp.full(tokens.shape, mask)
    given = jnp.asarray(given)
    if given.dtype != bool or given.shape not in (tokens.shape, tokens.shape[1:]):
        raise InputError(
            f"given is {given.dtype}{list(given.shape)} for tokens {list(tokens.shape)}; pass True where a "
            "position is known from the start, for each row or for all"
        )
    return jnp.where(given, tokens, mask)


@once
def _assert_clean(tokens: Array, mask_id: int) -> None:
    for first, values in own_rows(tokens):
        if (values == mask_id).any():
            row, position = np.argwhere(values == mask_id)[0]
            raise InputError(
                f"row {first + row} has the mask ({mask_id}) at position {position}; pass clean sequences, "
                "whose likelihood is asked for"
            )
