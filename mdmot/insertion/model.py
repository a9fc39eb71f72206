"""A network that inserts: a token for every mask, and for every gap a law over the number missing in it."""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from mdmot._types import Logits, Params, Tokens
from mdmot.arguments import whole
from mdmot.errors import InputError


class Gaps(NamedTuple):
    """What a network says of visible rows.

    Attributes:
      logits: Of the clean tokens, at every position; those at masks are looked at.
      missing: Of the numbers 0, 1, ..., most of tokens missing in each gap: the one before the first token
        and those behind each. At closed gaps, where nothing is missing, they are not looked at.
    """

    logits: Logits
    missing: Float[Array, "batch gaps numbers"]

    def mean_missing(self) -> Float[Array, "batch gaps"]:
        """The mean number missing, k_g."""
        number = jnp.arange(self.missing.shape[-1], dtype=self.missing.dtype)
        return jax.nn.softmax(self.missing) @ number


Inserter: TypeAlias = Callable[
    [Params, Tokens, Bool[Array, "batch gaps"], Float[Array, " batch"]],
    Gaps,
]
"""`inserter(params, tokens, is_open, absent) -> gaps` of visible rows, their padding behind them.

`is_open` has a mark more than the row has positions and says of each gap whether something may be missing
there. `absent` is 1 - a_t, the probability that a token has not been inserted yet. It is all that the
network is told of the time, and all that there is to tell: see `mdmot.insertion.process`."""


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["params"],
    meta_fields=["inserter", "mask_id", "pad_id"],
)
@dataclasses.dataclass(frozen=True, eq=False)
class InsertionModel:
    """What generation by insertion asks: an inserter, its weights and its special tokens.

    A pytree whose leaves are the weights. `insertion_model` makes one and checks the numbers.

    Attributes:
      inserter: `inserter(params, tokens, is_open, absent) -> Gaps`, hashable as every function is.
      params: Its weights, any pytree.
      mask_id: The token of a masked position.
      pad_id: The token of the unused part of a row.
    """

    inserter: Inserter
    params: Params
    mask_id: int
    pad_id: int

    def __call__(
        self, tokens: Tokens, is_open: Bool[Array, "batch gaps"], absent: Float[Array, " batch"]
    ) -> Gaps:
        """What the network says, its numbers as log-probabilities, and 0 for certain at closed gaps."""
        said = self.inserter(self.params, tokens, is_open, absent)
        certain = jnp.where(jnp.arange(said.missing.shape[-1]) == 0, 0.0, -jnp.inf)
        log_law = jnp.where(
            is_open[..., None],
            jax.nn.log_softmax(said.missing),
            certain.astype(said.missing.dtype)[None, None],
        )
        return Gaps(said.logits, log_law)


def insertion_model(inserter: Inserter, params: Params, *, mask_id: int, pad_id: int) -> InsertionModel:
    """A model that inserts.

    Args:
      inserter: `inserter(params, tokens, is_open, absent) -> Gaps`.
      params: Its weights.
      mask_id: The token of a masked position.
      pad_id: The token of the unused part of a row.

    Returns:
      The model.

    Raises:
      InputError: If the two tokens are the same, or one is no token.

    Example:
      >>> def inserter(params, tokens, is_open, absent):  # nothing is missing anywhere
      ...     return Gaps(jnp.zeros((*tokens.shape, 2)), jnp.zeros((*is_open.shape, 1)))
      >>> insertion_model(inserter, None, mask_id=2, pad_id=3).pad_id
      3
    """
    whole("mask_id", mask_id, 0)
    whole("pad_id", pad_id, 0)
    if mask_id == pad_id:
        raise InputError(f"mask_id = {mask_id}, pad_id = {pad_id}; pass different tokens")
    return InsertionModel(inserter, params, mask_id, pad_id)
