"""Array and callable types shared by every layer."""

from collections.abc import Callable
from typing import Any, TypeAlias

from jax import Array
from jaxtyping import Float, Int, Key

PRNGKey: TypeAlias = Key[Array, ""]
Tokens: TypeAlias = Int[Array, "batch length"]
Logits: TypeAlias = Float[Array, "batch length vocab"]

Params: TypeAlias = Any
"""A pytree of weights."""

Denoiser: TypeAlias = Callable[..., Logits]
"""`denoiser(params, tokens) -> logits` of the clean tokens; the mask is not in the vocabulary. One that
reads the time (`mdmot.denoisers.Timed`) takes it as a third argument."""

Knob: TypeAlias = Any
"""A real number, or a traced scalar, that may be swept without compiling again."""
