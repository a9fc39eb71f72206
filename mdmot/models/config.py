"""The size of a network of ours."""

import dataclasses
from typing import Any

import jax.numpy as jnp

from mdmot.arguments import is_whole, whole
from mdmot.errors import InputError

DTYPES = ("float32", "bfloat16")


def assert_splits(width: int, heads: int) -> None:
    """Raises InputError unless the heads split the width into parts of even size.

    Rotary positions turn pairs of features.

    Args:
      width: Features a position, at least 1.
      heads: Attention heads, at least 1.
    """
    if width % (2 * heads):
        raise InputError(
            f"width {width} does not split into {heads} heads of even size; pass a multiple of {2 * heads}"
        )


@dataclasses.dataclass(frozen=True)
class TransformerConfig:
    """The size of a network.

    Attributes:
      vocab_size: Number of clean tokens; the mask is the token `vocab_size`.
      length: Longest sequence that the network is made for.
      width: Features a position.
      depth: Number of blocks.
      heads: Attention heads; they split the width into parts of even size.
      expansion: Hidden features of each block's network, as a multiple of the width.
      kv_heads: Heads of the keys and values, each shared by a group of queries; None for `heads`.
      pad_id: A clean token that fills rows up and that no position attends to; None if there is none.
        Its logits are as the others': wrap the denoiser in `WithoutToken` where it must not be drawn.
      dtype: What is computed in, "float32" or "bfloat16"; norms, softmax and logits stay in float32.
      param_dtype: What the weights are kept in.

    Raises:
      InputError: If a size is no whole number of at least 1, the heads do not split the width or the
        groups the heads, the padding is no clean token, or a type is another.

    Example:
      >>> config = TransformerConfig(vocab_size=256, length=64, width=32, depth=2, heads=4, kv_heads=2)
      >>> config.mask_id, config.groups
      (256, 2)
    """

    vocab_size: int
    length: int
    width: int
    depth: int
    heads: int
    expansion: int = 4
    kv_heads: int | None = None
    pad_id: int | None = None
    dtype: str = "float32"
    param_dtype: str = "float32"

    def __post_init__(self) -> None:
        for name in ("vocab_size", "length", "width", "depth", "heads", "expansion", "kv_heads"):
            size = getattr(self, name)
            if name == "kv_heads" and size is None:
                continue
            whole(name, size)
        assert_splits(self.width, self.heads)
        if self.heads % self.groups:
            raise InputError(f"{self.heads} heads do not split into {self.kv_heads} groups; pass a divisor")
        pad = self.pad_id
        is_token = is_whole(pad, 0) and pad < self.vocab_size
        if pad is not None and not is_token:
            raise InputError(f"pad_id = {pad!r}; pass one of the {self.vocab_size} clean tokens")
        for name in ("dtype", "param_dtype"):
            if getattr(self, name) not in DTYPES:
                raise InputError(f"{name} = {getattr(self, name)!r}; pass {' or '.join(DTYPES)}")

    @property
    def mask_id(self) -> int:
        """The token of a masked position: the first id after the clean tokens."""
        return self.vocab_size

    @property
    def groups(self) -> int:
        """Groups of heads that share a key and value."""
        return self.heads if self.kv_heads is None else self.kv_heads

    @property
    def dtypes(self) -> dict[str, Any]:
        """The two types as the arguments of Flax's layers."""
        return {"dtype": jnp.dtype(self.dtype), "param_dtype": jnp.dtype(self.param_dtype)}
