"""From Flax modules to the pure functions that the rest of mdmot knows."""

import dataclasses

from flax import nnx
from jax import Array
from jaxtyping import Float

from mdmot._types import Logits, Params, Tokens
from mdmot.errors import InputError


@dataclasses.dataclass(frozen=True)
class NNXDenoiser:
    """`denoiser(params, tokens) -> logits` of a module's structure.

    Two denoisers of equal structure are equal, so a rebuilt one runs the compiled program of the first.

    Attributes:
      graphdef: The module without its weights.
    """

    graphdef: nnx.GraphDef

    def __call__(self, params: Params, tokens: Tokens) -> Logits:
        """The module's logits under these weights."""
        return nnx.merge(self.graphdef, params)(tokens)


@dataclasses.dataclass(frozen=True)
class TimedNNXDenoiser:
    """`denoiser(params, tokens, alpha) -> logits` of a time-conditioned module's structure.

    Attributes:
      graphdef: The module without its weights.
    """

    graphdef: nnx.GraphDef

    def __call__(
        self, params: Params, tokens: Tokens, alpha: Float[Array, ""] | Float[Array, " batch"]
    ) -> Logits:
        """The module's logits under these weights at this level."""
        return nnx.merge(self.graphdef, params)(tokens, alpha)


def from_nnx(module: nnx.Module) -> tuple[NNXDenoiser, Params]:
    """Splits a Flax NNX module into a pure denoiser and its weights.

    Args:
      module: A module with `module(tokens) -> logits` over the clean tokens, deterministic.

    Returns:
      The denoiser, hashable, and the weights as a nested dictionary of arrays.

    Raises:
      InputError: If the module holds random state.

    Example:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> from mdmot.models import MaskedTransformer, TransformerConfig
      >>> config = TransformerConfig(vocab_size=4, length=6, width=16, depth=1, heads=2)
      >>> denoiser, params = from_nnx(MaskedTransformer(config, nnx.Rngs(0)))
      >>> denoiser(params, jnp.full((2, 6), config.mask_id)).shape
      (2, 6, 4)
    """
    graphdef, params = _split(module)
    return NNXDenoiser(graphdef), params


def from_nnx_timed(module: nnx.Module) -> tuple[TimedNNXDenoiser, Params]:
    """Splits a time-conditioned Flax NNX module into a pure function and its weights.

    Args:
      module: A module with `module(tokens, alpha) -> logits` over the clean tokens, deterministic.

    Returns:
      The denoiser `(params, tokens, alpha) -> logits`, hashable, and the weights as a nested
      dictionary of arrays.

    Raises:
      InputError: If the module holds random state.

    Example:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> from mdmot.models import TimeConditionedTransformer, TransformerConfig
      >>> config = TransformerConfig(vocab_size=4, length=6, width=16, depth=1, heads=2)
      >>> denoiser, params = from_nnx_timed(TimeConditionedTransformer(config, nnx.Rngs(0)))
      >>> denoiser(params, jnp.full((2, 6), config.mask_id), jnp.asarray(0.5)).shape
      (2, 6, 4)
    """
    graphdef, params = _split(module)
    return TimedNNXDenoiser(graphdef), params


def _split(module: nnx.Module) -> tuple[nnx.GraphDef, Params]:
    random = nnx.to_flat_state(nnx.state(module, nnx.RngState))
    if random:
        names = ", ".join(sorted(".".join(map(str, path)) for path, _ in random))
        raise InputError(
            f"module holds random state ({names}); a denoiser is deterministic: build it without dropout"
        )
    return nnx.graphdef(module), nnx.to_pure_dict(nnx.state(module))
