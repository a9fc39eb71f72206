"""The entropy of a conditional in place of the loss of its token: less noisy, for exact conditionals."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from mdmot._types import Tokens
from mdmot.information.scorers import Scorer
from mdmot.model import Model


def entropy_scorer(model: Model) -> Scorer:
    """A scorer whose loss is the entropy of the conditional, whatever the clean token.

    The mean of -log p(x_i | x_S) is that of the entropy of p(. | x_S), so that measurements with exact
    conditionals have the same mean and less noise. A network's entropy says how sure it is and not whether
    it is right: measure a network by `jax_scorer`.

    Args:
      model: Exact conditionals, as `Law.model()`; logits may be -inf.

    Returns:
      The scorer. Entropies are computed in float32 at least, and nan where no token is masked.

    Raises:
      InputError: If the mask is no whole number of at least 0.

    Example:
      >>> from mdmot.distributions import read_law
      >>> scorer = entropy_scorer(read_law("parity:length=2").model())
      >>> scorer(np.array([[2, 2], [1, 2]]), np.array([[1, 1], [1, 1]])).round(4)
      array([[0.6931, 0.6931],
             [   nan, 0.    ]])
    """

    def losses(tokens: np.ndarray, clean: np.ndarray) -> np.ndarray:
        found = _entropies(model, jnp.asarray(tokens, jnp.int32))
        return np.where(tokens == model.mask_id, np.asarray(found, np.float64), np.nan)

    return Scorer(losses, model.mask_id)


@jax.jit
def _entropies(model: Model, tokens: Tokens) -> Float[Array, "batch length"]:
    logits = model(tokens)
    if jnp.finfo(logits.dtype).bits < 32:
        logits = logits.astype(jnp.float32)
    if model.mask_id < logits.shape[-1]:
        logits = logits.at[..., model.mask_id].set(-jnp.inf)
    log_prob = jax.nn.log_softmax(logits, axis=-1)
    prob = jnp.exp(log_prob)
    return jnp.sum(prob * jnp.where(prob > 0, -log_prob, 0.0), axis=-1)
