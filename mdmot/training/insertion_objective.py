"""What training a network that inserts minimises."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from mdmot._types import Params, PRNGKey
from mdmot.insertion import Drawn, Inserter, InsertionModel, Rows, draw, visible_losses
from mdmot.schedules import masks
from mdmot.training.given_spans import GivenSpans
from mdmot.training.objective import RowsOutcome

LINEAR, GIVEN = masks.linear(), GivenSpans()


class InsertionLosses(NamedTuple):
    """What a batch loses, in nats a row.

    Attributes:
      numbers: Cross entropy of the numbers missing.
      tokens: Cross entropy of the tokens of masks.
      nelbo: The estimate of the NELBO, which asks of the numbers their means alone.
    """

    numbers: Float[jax.Array, ""]
    tokens: Float[jax.Array, ""]
    nelbo: Float[jax.Array, ""]


class DrawnRows(NamedTuple):
    """What is visible of the rows of a batch, and the weight of each row's loss."""

    drawn: Drawn
    weight: Float[jax.Array, " batch"]


def weighted_losses(model: InsertionModel, rows: DrawnRows) -> InsertionLosses:
    """The means of what a network loses over rows.

    Args:
      model: The network.
      rows: What is visible.
    """
    found, weight = rows
    lost = visible_losses(model, found.visible, found.absent)
    tokens = (weight * found.of_masks * lost.masks).mean()
    numbers, gaps = ((weight * found.of_gaps * part).mean() for part in (lost.numbers, lost.gaps))
    return InsertionLosses(numbers, tokens, gaps + tokens)


@dataclasses.dataclass(frozen=True)
class InsertionObjective:
    """Cross entropies of numbers and tokens at one time of each row, with the weights of the NELBO.

    The NELBO asks of a law of numbers missing its mean alone. The sampler draws from the law, so all of it
    is learned: cross entropy is least for the right law, and the mean of that is what the NELBO asks for.

    Attributes:
      inserter: The network.
      mask_id: The token of a masked position.
      pad_id: The token of the unused part of a row.
      given: The shares of rows of which parts are given beside; None for none.

    Example:
      >>> from mdmot.insertion import Gaps
      >>> def inserter(params, tokens, is_open, absent):
      ...     return Gaps(jnp.zeros((*tokens.shape, 2)), jnp.zeros((*is_open.shape, 3)))
      >>> float(InsertionObjective(inserter, mask_id=2, pad_id=3).init().nelbo)
      0.0
    """

    inserter: Inserter
    mask_id: int
    pad_id: int
    given: GivenSpans | None = GIVEN

    def init(self) -> InsertionLosses:
        """Nothing seen yet."""
        return InsertionLosses(*jnp.zeros(3))

    def draw(self, key: PRNGKey, params: Params, state: InsertionLosses, batch: Rows) -> DrawnRows:
        """The parts that are given, a time for each row, and what is visible then."""
        del params, state
        given_key, draw_key = jax.random.split(key)
        rows, weight = batch, jnp.ones(batch.tokens.shape[0])
        if self.given is not None:
            rows, weight = self.given.draw(given_key, rows, self.pad_id)
        drawn = draw(draw_key, rows, LINEAR, LINEAR, mask_id=self.mask_id, pad_id=self.pad_id)
        return DrawnRows(drawn, weight)

    def loss(
        self, params: Params, state: InsertionLosses, batch: Rows, drawn: DrawnRows
    ) -> tuple[Float[jax.Array, ""], RowsOutcome]:
        """The mean over the rows, in nats a row."""
        del state, batch
        model = InsertionModel(self.inserter, params, self.mask_id, self.pad_id)
        lost = weighted_losses(model, drawn)
        total = lost.numbers + lost.tokens
        return total, RowsOutcome(total, lost)

    def updated(self, state: InsertionLosses, seen: InsertionLosses) -> InsertionLosses:
        """The losses of the batch."""
        return jax.tree.map(lambda old, new: new.astype(old.dtype), state, seen)
