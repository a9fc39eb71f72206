"""The masked flow of a joint law of token sequences, and the same flow given the clean sequence."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from mdmot.arguments import concrete
from mdmot.errors import InputError
from mdmot.flows.flow import MAX_STATES, Flow, complete_rates, require_distribution, safe_ratio


def partial_marginals(law: Float[ArrayLike, "*clean"]) -> Float[Array, "*partial"]:
    """Probability of the visible tokens of every partly masked sequence.

    Args:
      law: Probability of each clean sequence, one axis of length vocab_size per position.

    Returns:
      Array with vocab_size + 1 entries along each axis; the last stands for the mask and holds the
      sum over that position's tokens. Its entry where all is masked is 1.

    Example:
      >>> import jax.numpy as jnp
      >>> partial_marginals(jnp.array([[0.5, 0.0], [0.25, 0.25]])).tolist()
      [[0.5, 0.0, 0.5], [0.25, 0.25, 0.5], [0.75, 0.25, 1.0]]
    """
    law = jnp.asarray(law)
    for axis in range(law.ndim):
        law = jnp.concatenate([law, law.sum(axis, keepdims=True)], axis)
    return law


def num_masked(length: int, vocab_size: int) -> Int[Array, " states"]:
    """Number of masks in every partly masked sequence, in the order of the flow's states.

    States are the sequences in lexicographic order with the mask as the last symbol, number
    vocab_size: the row-major order of `partial_marginals`.

    Args:
      length: Number of positions.
      vocab_size: Number of tokens, mask excluded.

    Returns:
      The count of each of the (vocab_size + 1)^length states.

    Example:
      >>> num_masked(2, 1).tolist()
      [0, 1, 1, 2]
    """
    return jnp.asarray(_num_masked(length, vocab_size))


def masked_flow(
    law: Float[ArrayLike, "*clean"],
    alpha: Float[ArrayLike, ""],
    alpha_dot: Float[ArrayLike, ""],
) -> Flow:
    """Tokens of a joint law unmask one at a time, each as likely as its conditional law says.

    p(z) = alpha^(n - m) (1 - alpha)^m p(z_visible) for a sequence with m of n positions masked, and
    the jump that shows token a at position i has the rate alpha_dot / (1 - alpha) p(a | z_visible).
    Sequences whose visible tokens have probability zero are never visited; their rows are zero.

    Args:
      law: Probability of each clean sequence, one axis of length vocab_size per position; sums to
        1, may have zeros.
      alpha: Probability that a position is unmasked, in [0, 1]. At 1 nothing is masked and all
        rates are zero: the forward equation holds below 1, and at 1 if alpha_dot is 0.
      alpha_dot: Its time derivative, at least 0.

    Returns:
      The flow over the (vocab_size + 1)^length sequences in the order of `num_masked`, in the dtype
      of the law.

    Raises:
      InputError: The law's axes differ, it is no distribution, or it has too many states.

    Example:
      >>> import jax.numpy as jnp
      >>> flow = masked_flow(jnp.array([0.25, 0.75]), 0.5, 2.0)
      >>> flow.prob.tolist(), flow.rates[2].tolist()
      ([0.125, 0.375, 0.5], [1.0, 3.0, -4.0])

    References:
      Chen et al., arXiv:2509.13866, Theorem 3.1 (the flow of its kinetic energy).
    """
    law = jnp.asarray(law)
    length, vocab_size = _sequence_shape(law.shape)
    require_distribution("law", law)
    masks = _num_masked(length, vocab_size)
    marginals = partial_marginals(law).ravel()

    def probability(alpha: Array) -> Array:
        # Integer powers: exact at 0 and 1, in the derivative too.
        powers = [alpha ** (length - m) * (1.0 - alpha) ** m for m in range(length + 1)]
        return jnp.stack(powers)[masks] * marginals

    alpha = jnp.asarray(alpha, law.dtype)
    alpha_dot = jnp.asarray(alpha_dot, law.dtype)
    prob, prob_dot = jax.jvp(probability, (alpha,), (alpha_dot,))

    source, target = _unmasking_edges(length, vocab_size)
    conditional = safe_ratio(marginals[target], marginals[source])
    hazard = safe_ratio(alpha_dot, 1.0 - alpha)
    jumps = jnp.zeros((masks.size, masks.size), law.dtype)
    return Flow(prob, prob_dot, complete_rates(jumps.at[source, target].set(hazard * conditional)))


def conditional_masked_flow(
    tokens: Int[ArrayLike, " length"],
    vocab_size: int,
    alpha: Float[ArrayLike, ""],
    alpha_dot: Float[ArrayLike, ""],
) -> Flow:
    """The masked flow given the clean sequence: each mask turns into its token at one common rate.

    It is the masked flow of the law that is sure of the sequence, over the same states as that of
    any other law.

    Args:
      tokens: Clean sequence, in [0, vocab_size).
      vocab_size: Number of tokens, mask excluded.
      alpha: Probability that a position is unmasked, in [0, 1]; see `masked_flow` for 1.
      alpha_dot: Its time derivative, at least 0.

    Returns:
      The flow over all (vocab_size + 1)^length sequences in the order of `num_masked`, in the dtype
      of alpha.

    Raises:
      InputError: A token is out of range, or there are too many states.

    Example:
      >>> import jax.numpy as jnp
      >>> flow = conditional_masked_flow(jnp.array([1]), 2, 0.5, 1.0)
      >>> flow.prob.tolist(), flow.rates[2].tolist()
      ([0.0, 0.5, 0.5], [0.0, 2.0, -2.0])

    References:
      Chen et al., arXiv:2509.13866, Theorem 3.1 (the flow of its conditional kinetic energy).
    """
    shape = (vocab_size,) * np.size(tokens)
    _sequence_shape(shape)
    values = concrete(tokens)
    if values is not None and not ((values >= 0) & (values < vocab_size)).all():
        raise InputError(
            f"tokens {values.tolist()} are not all in [0, {vocab_size}): expected a clean "
            "sequence, so leave no mask in it or raise vocab_size"
        )
    law = jnp.zeros(shape, jnp.result_type(alpha, float))
    law = law.at[tuple(jnp.asarray(tokens))].set(1.0)
    return masked_flow(law, alpha, alpha_dot)


def _sequence_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """Length and vocabulary size of a law, if its states can be listed."""
    if not shape or len(set(shape)) != 1 or shape[0] < 1:
        raise InputError(
            f"law has the shape {shape}; expected (vocab_size,) * length: one axis per position, "
            "all of one length, so pad the vocabulary with zeros"
        )
    length, vocab_size = len(shape), shape[0]
    states = (vocab_size + 1) ** length
    if states > MAX_STATES:
        raise InputError(
            f"{length} positions over {vocab_size} tokens have {states} partly masked states, more "
            f"than the {MAX_STATES} of an explicit rate matrix: shorten the sequence or the "
            "vocabulary"
        )
    return length, vocab_size


def _num_masked(length: int, vocab_size: int) -> np.ndarray:
    symbols = np.indices((vocab_size + 1,) * length).reshape(length, -1)
    return (symbols == vocab_size).sum(0)


def _unmasking_edges(length: int, vocab_size: int) -> tuple[np.ndarray, np.ndarray]:
    """States before and after every jump that shows one token."""
    index = np.arange((vocab_size + 1) ** length).reshape((vocab_size + 1,) * length)
    by_site = [np.moveaxis(index, i, -1).reshape(-1, vocab_size + 1) for i in range(length)]
    source = np.concatenate([np.repeat(symbols[:, -1], vocab_size) for symbols in by_site])
    target = np.concatenate([symbols[:, :-1].ravel() for symbols in by_site])
    return source, target
