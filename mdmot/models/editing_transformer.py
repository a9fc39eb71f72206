"""A transformer that edits: a token and three controls at each position, from what is near it."""

import dataclasses

import jax.numpy as jnp
from flax import nnx

from mdmot._types import Params, Tokens
from mdmot.arguments import is_whole, whole
from mdmot.editing import Controls
from mdmot.errors import InputError
from mdmot.models.adapters import split_module
from mdmot.models.config import TransformerConfig, assert_splits
from mdmot.models.named import fitting
from mdmot.models.places import Places
from mdmot.models.transformer import Body


@dataclasses.dataclass(frozen=True)
class EditingConfig:
    """The size of a network that edits.

    Attributes:
      vocab_size: Number of clean tokens; the mask is the token `vocab_size` and padding the next one.
      width: Features a position.
      depth: Number of blocks.
      heads: Attention heads; they split the width into parts of even size.
      window: How far to both sides a position sees in each block; None for all of the row.
      expansion: Hidden features of each block's network, as a multiple of the width.
      end_id: The clean token that ends a row; None for none.
      shape: Lengths of the axes of rows that are grids, the first one slowest: a position has a learned
        vector for its place on each. None for rows of any length, whose positions matter through their
        differences alone.

    Raises:
      InputError: If a size is no whole number of at least 1, the heads do not split the width, or the end
        is no clean token.

    Example:
      >>> config = EditingConfig(vocab_size=3, width=8, depth=1, heads=2, window=2)
      >>> config.mask_id, config.pad_id, config.reach
      (3, 4, 2)
    """

    vocab_size: int
    width: int
    depth: int
    heads: int
    window: int | None
    expansion: int = 2
    end_id: int | None = None
    shape: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("vocab_size", "width", "depth", "heads", "expansion"):
            whole(name, getattr(self, name))
        if self.window is not None:
            whole("window", self.window)
        if self.shape is not None:
            for length in self.shape:
                whole("shape", length)
        end = self.end_id
        if end is not None and not (is_whole(end, 0) and end < self.vocab_size):
            raise InputError(f"end_id = {end!r}; pass one of the {self.vocab_size} clean tokens")
        assert_splits(self.width, self.heads)

    @property
    def mask_id(self) -> int:
        """The token of a masked position."""
        return self.vocab_size

    @property
    def pad_id(self) -> int:
        """The token of the unused part of a row."""
        return self.vocab_size + 1

    @property
    def reach(self) -> int | None:
        """How far to both sides a position can depend on others, whatever the weights; None for any."""
        return None if self.window is None else self.depth * self.window

    def rows_at_once(self, length: int, most: int) -> int:
        """Rows of a network call: as many as fit into memory, `most` at most, one at least.

        Args:
          length: Tokens of the buffer of a row.
          most: Rows at most.
        """
        # Each position has the keys and the values of its window, or a score for each of the row.
        near = 0 if self.window is None else 2 * (2 * self.window + 1)
        scores = self.heads * length if self.window is None else 0
        widest = max(self.vocab_size, scores, self.width * max(self.expansion, near))
        return fitting(most, length * widest)


class EditingTransformer(nnx.Module):
    """Tokens and controls of rows of any length; positions matter through their differences alone.

    That is so unless the config has a shape, and rows are grids. Attention has rotary positions. Where it
    is to the neighbours within a window, what a position says depends on the tokens within `config.reach`
    of it, and a network that is right on all of those is right at every length. Without a window it is to
    all of the row.

    Args:
      config: Its size.
      rngs: Randomness of the weights.

    Example:
      >>> config = EditingConfig(vocab_size=3, width=8, depth=1, heads=2, window=2)
      >>> module = EditingTransformer(config, nnx.Rngs(0))
      >>> controls = module(jnp.asarray([[2, 0, 1, 4]]))
      >>> controls.logits.shape, controls.delete.shape
      ((1, 4, 3), (1, 4))

    References:
      Yang et al., arXiv:2510.06190 (the three controls).
    """

    def __init__(self, config: EditingConfig, rngs: nnx.Rngs):
        self.pad_id = config.pad_id
        self.embedding = nnx.Embed(config.vocab_size + 2, config.width, rngs=rngs)
        self.places = None if config.shape is None else Places(config.shape, config.width, rngs)
        # A network of ours of the same size, but for the table of positions, which the body has none of.
        size = TransformerConfig(
            config.vocab_size, 1, config.width, config.depth, config.heads, config.expansion
        )
        self.body = Body(size, rngs, config.window)
        self.token_head = nnx.Linear(config.width, config.vocab_size, use_bias=False, rngs=rngs)
        self.control_head = nnx.Linear(config.width, 3, rngs=rngs)

    def __call__(self, tokens: Tokens) -> Controls:
        """The logits of the clean tokens and the log-odds of the controls; at padding they mean nothing."""
        x = self.embedding(tokens)
        if self.places is not None:
            x = x + self.places(tokens.shape[1])[None]
        x = self.body(x, jnp.not_equal(tokens, self.pad_id))
        remask, insert, delete = jnp.moveaxis(self.control_head(x), -1, 0)
        return Controls(self.token_head(x), remask, insert, delete)


@dataclasses.dataclass(frozen=True)
class NNXEditor:
    """`editor(params, tokens) -> controls` of a module's structure.

    Attributes:
      graphdef: The module without its weights.
    """

    graphdef: nnx.GraphDef

    def __call__(self, params: Params, tokens: Tokens) -> Controls:
        """The module's tokens and controls under these weights."""
        found: Controls = nnx.merge(self.graphdef, params)(tokens)
        return found


def editor_from_nnx(module: nnx.Module) -> tuple[NNXEditor, Params]:
    """Splits a Flax NNX module that edits into a pure function and its weights.

    Args:
      module: A module with `module(tokens) -> Controls`, deterministic.

    Returns:
      The editor, hashable, and the weights as a nested dictionary of arrays.

    Raises:
      InputError: If the module holds random state.

    Example:
      >>> config = EditingConfig(vocab_size=3, width=8, depth=1, heads=2, window=2)
      >>> editor, params = editor_from_nnx(EditingTransformer(config, nnx.Rngs(0)))
      >>> editor(params, jnp.asarray([[2, 0, 1, 4]])).remask.shape
      (1, 4)
    """
    graphdef, params = split_module(module)
    return NNXEditor(graphdef), params
