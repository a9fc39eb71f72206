"""A network that edits: at each position a token and three controls."""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
from jax import Array
from jaxtyping import Float

from mdmot._types import Logits, Params, Tokens
from mdmot.arguments import whole
from mdmot.errors import InputError


class Controls(NamedTuple):
    """What a network says of each position.

    Attributes:
      logits: Of the clean tokens.
      remask: Log-odds of a remask.
      insert: Log-odds of an insertion behind the position.
      delete: Log-odds of a deletion.
    """

    logits: Logits
    remask: Float[Array, "batch length"]
    insert: Float[Array, "batch length"]
    delete: Float[Array, "batch length"]


Editor: TypeAlias = Callable[[Params, Tokens], Controls]
"""`editor(params, tokens) -> controls` of rows with padding behind them."""


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["params"],
    meta_fields=["editor", "mask_id", "pad_id", "end_id"],
)
@dataclasses.dataclass(frozen=True, eq=False)
class EditModel:
    """What any-process generation asks: an editor, its weights and its special tokens.

    A pytree whose leaves are the weights. `editor_model` makes one and checks the numbers.

    Attributes:
      editor: `editor(params, tokens) -> Controls`, hashable as every function is.
      params: Its weights, any pytree.
      mask_id: The token of a masked position.
      pad_id: The token of the unused part of a row.
      end_id: The clean token that ends a row: one that has it and no mask is done. None for none.
    """

    editor: Editor
    params: Params
    mask_id: int
    pad_id: int
    end_id: int | None = None


def editor_model(
    editor: Editor, params: Params, *, mask_id: int, pad_id: int, end_id: int | None = None
) -> EditModel:
    """A model that edits.

    Args:
      editor: `editor(params, tokens) -> Controls`.
      params: Its weights.
      mask_id: The token of a masked position.
      pad_id: The token of the unused part of a row.
      end_id: The clean token that ends a row; None for none.

    Returns:
      The model.

    Raises:
      InputError: If two of the tokens are the same, or one is no token.

    Example:
      >>> import jax.numpy as jnp
      >>> def editor(params, tokens):
      ...     never = jnp.full(tokens.shape, -jnp.inf)
      ...     return Controls(jnp.zeros((*tokens.shape, 2)), never, never, never)
      >>> editor_model(editor, None, mask_id=2, pad_id=3).end_id is None
      True
    """
    given = {"mask_id": mask_id, "pad_id": pad_id} | ({} if end_id is None else {"end_id": end_id})
    for name, token in given.items():
        whole(name, token, 0)
    if len(set(given.values())) < len(given):
        raise InputError(
            f"{', '.join(f'{name} = {token}' for name, token in given.items())}; pass different tokens"
        )
    return EditModel(editor, params, mask_id, pad_id, end_id)
