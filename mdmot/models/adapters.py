"""From Flax modules to the pure functions that the rest of mdmot knows."""

import dataclasses

from flax import nnx
from jax import Array
from jaxtyping import Float

from mdmot._types import Logits, Params, Tokens
from mdmot.denoisers import SplitDenoiser
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


@dataclasses.dataclass(frozen=True)
class NNXPart:
    """`part(params, x)`: one function of a module's structure under the weights of the whole.

    Attributes:
      graphdef: The module without its weights.
      name: The module's method or submodule.
    """

    graphdef: nnx.GraphDef
    name: str

    def __call__(self, params: Params, x: Array) -> Array:
        """The value of the part."""
        return getattr(nnx.merge(self.graphdef, params), self.name)(x)


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
    graphdef, params = split_module(module)
    return NNXDenoiser(graphdef), params


def split_from_nnx(module: nnx.Module) -> tuple[SplitDenoiser, Params]:
    """Splits a Flax NNX module as `from_nnx` does, with the output head of the denoiser apart.

    Samplers then evaluate the head only where they need it.

    Args:
      module: A deterministic module with `module.features(tokens)` and a `module.head(features)` that
        returns the logits of each position from the features there alone, as `MaskedTransformer` has.

    Returns:
      The denoiser, hashable, with the logits of `from_nnx`, and the weights as a nested dictionary.

    Raises:
      InputError: If the module has no such parts or holds random state.

    Example:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> from mdmot.models import MaskedTransformer, TransformerConfig
      >>> config = TransformerConfig(vocab_size=4, length=6, width=16, depth=1, heads=2)
      >>> denoiser, params = split_from_nnx(MaskedTransformer(config, nnx.Rngs(0)))
      >>> tokens = jnp.full((2, 6), config.mask_id)
      >>> denoiser.logits_at(params, tokens, jnp.asarray([[1], [5]])).shape
      (2, 1, 4)
    """
    for name in ("features", "head"):
        if not callable(getattr(module, name, None)):
            raise InputError(f"module {type(module).__name__} has no {name}; use from_nnx")
    graphdef, params = split_module(module)
    return SplitDenoiser(NNXPart(graphdef, "features"), NNXPart(graphdef, "head")), params


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
    graphdef, params = split_module(module)
    return TimedNNXDenoiser(graphdef), params


def split_module(module: nnx.Module) -> tuple[nnx.GraphDef, Params]:
    """A deterministic module's structure, and its weights as a nested dictionary."""
    random = nnx.to_flat_state(nnx.state(module, nnx.RngState))
    if random:
        names = ", ".join(sorted(".".join(map(str, path)) for path, _ in random))
        raise InputError(
            f"module holds random state ({names}); a denoiser is deterministic: build it without dropout"
        )
    return nnx.graphdef(module), nnx.to_pure_dict(nnx.state(module))
