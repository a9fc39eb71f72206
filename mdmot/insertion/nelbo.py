r"""The negative evidence lower bound of a model that inserts.

Record of each insertion also the gap in which it is made. A path of visible rows that ends in x then tells
which token of x came when, so that the path's density given x is the product of the tokens' own: rate
a'/(1 - a) each. The model's is that of insertions at rate a'/(1 - a) k_g in gap g. The unmaskings have rate
b'/(1 - b) for each mask in both, and the model chooses the token with probability mu. So

.. math::
    -\log p(x) \le \int_0^1 \mathbb{E}\Bigl[ \frac{a'}{1 - a} \sum_g \bigl( k_g - K_g - K_g \log k_g \bigr)
    + \frac{b'}{1 - b} \sum_{i \text{ a mask}} -\log \mu_i(x_i) \Bigr]\, dt ,

with K_g tokens missing in gap g. With exact posteriors the model's density of each path that ends in x is
p(x) times its density given x, and both sides are equal, row by row.

What a model loses in a gap at a time is the Bregman divergence k_g - k* - k* log(k_g/k*) of its mean from
that of the posterior, k*: a better law of the number is of no use to the bound beyond its mean.

(With K_g log K_g - K_g in place of -K_g, the divergence from the number itself, each row's bound would be
larger by the mean of the sum of log K_g over its insertions, log 2 for two tokens: that is what remains
unknown where one knows the token, not the gap alone.)
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.scipy.special import xlogy
from jaxtyping import Float

from mdmot._types import PRNGKey
from mdmot.energies.quadrature import log_odds_nodes
from mdmot.errors import InputError
from mdmot.insertion.model import InsertionModel
from mdmot.insertion.process import Visible, draw_times, marginals_at, visible
from mdmot.insertion.rows import Rows
from mdmot.schedules import MaskSchedule, time
from mdmot.schedules.time import Instant

MOST_TOKENS = 8
"""Of rows whose NELBO is summed over all that can be visible of them."""


class Nelbo(NamedTuple):
    """Nats of each row, apart for what is inserted and what is unmasked."""

    insertion: Float[Array, " batch"]
    unmasking: Float[Array, " batch"]

    @property
    def nats(self) -> Float[Array, " batch"]:
        """Both together."""
        return self.insertion + self.unmasking


class Losses(NamedTuple):
    """What a network loses on visible rows, one number each.

    Attributes:
      gaps: Sum of k_g - K_g - K_g log k_g.
      numbers: Cross entropy of the numbers missing, summed over the gaps.
      masks: Cross entropy of the clean tokens, summed over the masks.
    """

    gaps: Float[Array, " batch"]
    numbers: Float[Array, " batch"]
    masks: Float[Array, " batch"]


def visible_losses(model: InsertionModel, rows: Visible, absent: Float[Array, " batch"]) -> Losses:
    """What a network loses on visible rows.

    Args:
      model: The network.
      rows: What is visible, and what is not.
      absent: 1 - a_t of each row.

    Returns:
      The three sums; infinite where the network excludes what is the case.

    Raises:
      InputError: If more tokens may be missing in a gap than the network has numbers for.
    """
    said = model(rows.tokens, rows.is_open, absent)
    said = jax.tree.map(lambda x: x.astype(absent.dtype), said)
    longest, most = rows.tokens.shape[1], said.missing.shape[-1] - 1
    if most < longest:
        raise InputError(
            f"rows of up to {longest} tokens, and a network that counts up to {most} missing ones; pass "
            "shorter rows, or a network that counts further"
        )
    mean, number = said.mean_missing(), rows.missing.astype(said.missing.dtype)
    gaps = mean - number - xlogy(number, mean)
    right = jnp.take_along_axis(said.missing, rows.missing[..., None], axis=-1)[..., 0]
    is_mask = rows.tokens == model.mask_id
    nats = optax.softmax_cross_entropy_with_integer_labels(said.logits, jnp.where(is_mask, rows.clean, 0))
    return Losses(
        jnp.where(rows.is_open, gaps, 0.0).sum(axis=1),
        -jnp.where(rows.is_open, right, 0.0).sum(axis=1),
        jnp.where(is_mask, nats, 0.0).sum(axis=1),
    )


def exact_nelbo(
    model: InsertionModel,
    rows: Rows,
    insertion: MaskSchedule,
    unmasking: MaskSchedule,
    *,
    num_times: int = 81,
) -> Nelbo:
    """Each row's NELBO in nats, by all that can be visible of it and a quadrature over time.

    Args:
      model: The network.
      rows: Rows in buffers of at most 8 tokens.
      insertion: a.
      unmasking: b; with exact posteriors neither matters.
      num_times: Nodes of the quadrature.

    Returns:
      The two parts of each row's bound, given what is given.

    Raises:
      InputError: If the buffers are longer.

    Example:
      >>> from mdmot.insertion import exact_model, free_rows, strings_law
      >>> from mdmot.schedules import masks
      >>> law = strings_law([[0], [0, 1]], [1, 3], vocab_size=2)
      >>> rows = free_rows(law.tokens, pad_id=3)
      >>> found = exact_nelbo(exact_model(law, 2), rows, masks.linear(), masks.linear())
      >>> [round(float(x), 3) for x in jnp.exp(-found.nats)]
      [0.25, 0.75]
    """
    length = rows.tokens.shape[1]
    if length > MOST_TOKENS:
        raise InputError(
            f"buffers of {length} tokens have 3^{length} visible rows; pass at most {MOST_TOKENS} tokens, "
            "or use nelbo_estimate"
        )
    return _exact_nelbo(model, rows, insertion, unmasking, num_times)


@functools.partial(jax.jit, static_argnames="num_times")
def _exact_nelbo(
    model: InsertionModel, rows: Rows, insertion: MaskSchedule, unmasking: MaskSchedule, num_times: int
) -> Nelbo:
    batch, length = rows.tokens.shape
    kinds = jnp.asarray(np.arange(3**length)[:, None] // 3 ** np.arange(length) % 3)
    num = kinds.shape[0]
    dtype = jnp.zeros(()).dtype
    every = jax.tree.map(lambda x: jnp.repeat(x, num, axis=0), rows)
    kinds = jnp.tile(kinds, (batch, 1))
    found = visible(every, kinds == 0, kinds == 1, mask_id=model.mask_id, pad_id=model.pad_id)
    is_free = (every.tokens != model.pad_id) & ~every.is_given

    def at(node: tuple[Instant, Array]) -> Nelbo:
        when, log_weight = node
        chances = jnp.stack(marginals_at(when, insertion, unmasking))
        # Of a token that is not free all three kinds are one: it is counted as clean.
        chance = jnp.where(is_free, chances[kinds], (kinds == 2).astype(dtype)).prod(axis=1)
        log_absent = insertion.curve.log_complement(when)
        losses = visible_losses(model, found, jnp.full(num * batch, jnp.exp(log_absent)))

        def part(log_hazard: Array, loss: Array) -> Array:
            terms = jnp.where(chance > 0, chance * loss, 0.0)
            return jnp.exp(log_weight + log_hazard) * terms.reshape(batch, num).sum(axis=1)

        return Nelbo(
            part(insertion.curve.log_rate(when) - log_absent, losses.gaps),
            part(
                unmasking.curve.log_rate(when) - unmasking.curve.log_complement(when),
                losses.masks,
            ),
        )

    nodes = log_odds_nodes(num_times, dtype)
    parts = jax.lax.map(at, (nodes.when, nodes.log_weight))
    return jax.tree.map(lambda x: x.sum(axis=0), parts)


class Drawn(NamedTuple):
    """A time for each row, what is visible then, and what losses there weigh.

    Attributes:
      visible: What is visible.
      absent: 1 - a_t.
      of_gaps: The weight of what is lost in gaps.
      of_masks: The weight of what is lost at masks.
    """

    visible: Visible
    absent: Float[Array, " batch"]
    of_gaps: Float[Array, " batch"]
    of_masks: Float[Array, " batch"]


SHARES = (0.2, 0.4, 0.4)
"""Of the times: at which nothing in particular happens, a token is inserted, a mask is unmasked."""


@functools.partial(jax.jit, static_argnames=("mask_id", "pad_id"))
def draw(
    key: PRNGKey,
    rows: Rows,
    insertion: MaskSchedule,
    unmasking: MaskSchedule,
    *,
    mask_id: int,
    pad_id: int,
) -> Drawn:
    r"""A time for each row, with weights that make the losses there an estimate of the NELBO.

    Of times drawn without regard to the row the weights a'/(1 - a) have infinite variance. So two times of
    five are those just before a token is inserted, two those just before a mask is unmasked, a token of the
    row each, and one is drawn from the law of the time of insertion. A visible row of j absent tokens and m
    masks, of n free tokens, is then met

    .. math:: .2\, a' + .4\, \frac{a'}{1 - a} \frac{j}{n} + .4\, \frac{b'}{1 - b} \frac{m}{n}

    times as often, a unit of time, as the process has it; what is lost in gaps weighs a'/(1 - a) over that,
    what is lost at masks b'/(1 - b). No weight times what it weighs is large, but that k_g without a token
    missing weighs up to 5/(1 - a): k_g has to vanish as 1 - a does, or the NELBO is infinite.

    Args:
      key: Randomness.
      rows: The rows.
      insertion: a.
      unmasking: b.
      mask_id: The token of a mask.
      pad_id: The token of the padding.

    Returns:
      What is visible, and the weights.
    """
    batch = rows.tokens.shape[0]
    times_key, row_key = jax.random.split(key)
    times = draw_times(times_key, rows.tokens.shape, insertion, unmasking)
    uniform = jax.random.uniform(row_key, (3, batch), float)
    is_free = (rows.tokens != pad_id) & ~rows.is_given
    num_free = is_free.sum(axis=1).astype(uniform.dtype)
    # The token whose time it is: one of the free ones.
    number = jnp.minimum(jnp.floor(uniform[0] * num_free), num_free - 1)
    rank = (jnp.cumsum(is_free, axis=1) - 1).astype(uniform.dtype)
    is_chosen = is_free & (rank == number[:, None])
    first, second, _ = SHARES
    some = num_free > 0
    inserts, unmasks = some & (first <= uniform[1]), some & (first + second <= uniform[1])
    inserts = inserts & ~unmasks
    plain = insertion.inverse(uniform[2])

    def chosen(x: Array) -> Array:
        return jnp.where(is_chosen, x, 0.0).sum(axis=1)

    t = jnp.where(inserts, chosen(times.inserted), jnp.where(unmasks, chosen(times.unmasked), plain))
    # Rounding may make of a time the end itself, where nothing happens any more.
    t = jnp.minimum(t, 1 - jnp.finfo(t.dtype).epsneg)
    now = t[:, None]
    is_absent = jnp.where(is_chosen & inserts[:, None], True, now < times.inserted)
    is_mask = ~is_absent & jnp.where(is_chosen & unmasks[:, None], True, now < times.unmasked)
    found = visible(rows, is_absent, is_mask, mask_id=mask_id, pad_id=pad_id)
    when = time.at(t)
    log_absent = insertion.curve.log_complement(when)
    log_insert = insertion.curve.log_rate(when) - log_absent
    log_unmask = unmasking.curve.log_rate(when) - unmasking.curve.log_complement(when)
    top = jnp.maximum(log_insert, log_unmask)
    insert, unmask, absent = jnp.exp(log_insert - top), jnp.exp(log_unmask - top), jnp.exp(log_absent)
    shares = jnp.where(
        some[None], jnp.asarray(SHARES, t.dtype)[:, None], jnp.asarray([[1.0], [0], [0]], t.dtype)
    )
    per_token = 1 / jnp.maximum(num_free, 1)
    num_absent, num_masks = ((is_free & x).sum(axis=1).astype(t.dtype) for x in (is_absent, is_mask))
    density = insert * (shares[0] * absent + shares[1] * num_absent * per_token)
    density = density + unmask * shares[2] * num_masks * per_token
    return Drawn(found, absent, insert / density, unmask / density)


@jax.jit
def nelbo_estimate(
    key: PRNGKey,
    model: InsertionModel,
    rows: Rows,
    insertion: MaskSchedule,
    unmasking: MaskSchedule,
) -> Nelbo:
    """Unbiased estimate of each row's NELBO, in nats, from one visible row of each.

    Args:
      key: Randomness.
      model: The network.
      rows: The rows.
      insertion: a.
      unmasking: b.

    Returns:
      The two parts of one estimate a row; their means over keys are the row's.

    Example:
      >>> from mdmot.insertion import exact_model, free_rows, strings_law
      >>> from mdmot.schedules import masks
      >>> law = strings_law([[0], [0, 1]], [1, 3], vocab_size=2)
      >>> rows = free_rows(jnp.tile(law.tokens[1:], (500, 1)), pad_id=3)
      >>> found = nelbo_estimate(
      ...     jax.random.key(0), exact_model(law, 2), rows, masks.linear(), masks.linear())
      >>> bool(abs(found.nats.mean() + jnp.log(0.75)) < 0.2)
      True
    """
    drawn = draw(key, rows, insertion, unmasking, mask_id=model.mask_id, pad_id=model.pad_id)
    losses = visible_losses(model, drawn.visible, drawn.absent)
    return Nelbo(drawn.of_gaps * losses.gaps, drawn.of_masks * losses.masks)
