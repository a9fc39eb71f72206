"""Exact law of the K-step parallel-unmasking sampler with exact conditionals."""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float, Int

from mdmot.arguments import concrete
from mdmot.distributions import Tabular, subset_conditionals
from mdmot.distributions.tables import require_length
from mdmot.errors import InputError

MAX_TERMS = 10**8
"""The largest number 3^n K of terms that is summed for one sequence."""

_BATCH_TERMS = 2**18
"""Terms of a step held at once: sequences are taken in batches of this many over 3^n."""


class SamplerLaw(NamedTuple):
    """How far a sampler's law q is from its target p; entropies in nats.

    Attributes:
      legal_mass: q(support of p).
      total_variation: Half the L1 distance of p and q.
      kl: KL(p||q); inf where q misses a sequence of the support.
      path_kl: Expected KL given the order of reveals, never less than `kl`.
    """

    legal_mass: Float[Array, ""]
    total_variation: Float[Array, ""]
    kl: Float[Array, ""]
    path_kl: Float[Array, ""]


def bernoulli_law(
    law: Tabular,
    vocab_size: int,
    reveal: Float[Array, " steps"],
    sequences: Int[Array, "num length"],
) -> Float[Array, " num"]:
    """Probability that the K-step sampler with independent reveals ends in each sequence.

    In step k every masked position is revealed with probability r_k, independently; all positions
    revealed together draw independently from their exact conditionals given what was unmasked before.
    A history of probability 0 under the law, which only sequences outside its support can have, draws
    uniformly. With V_k(S) the probability that after k steps exactly the positions S are unmasked, and
    right,

      V_{k+1}(S') = (1 - r_k)^{n - |S'|} sum_{S <= S'} r_k^{|S' - S|} V_k(S) prod_{i in S' - S} p(x_i|x_S).

    Differentiable in the reveal probabilities and in the law's log-probabilities. Memory grows with
    3^n only, but times the number of schedules under `jax.vmap`.

    Args:
      law: The target law p.
      vocab_size: Number of tokens d, the mask not counted; static.
      reveal: r_k in [0, 1]. If the last is not 1, positions may stay masked, and the probabilities of
        all sequences sum to less than 1.
      sequences: The clean sequences x asked for; `law.sequences` for the support.

    Returns:
      q(x) of each.

    Raises:
      InputError: If 3^n K is more than 10^8, there is no step, a known reveal probability is outside
        [0, 1], or the sequences do not have the law's length.

    Example:
      >>> from mdmot.distributions import uniform_over
      >>> law = uniform_over([[0, 0], [1, 1]], vocab_size=2)
      >>> q = bernoulli_law(law, 2, jnp.array([0.5, 1.0]), law.sequences)
      >>> [round(float(x), 6) for x in q]
      [0.375, 0.375]

    References:
      Chen et al., arXiv:2509.13866, App. E.6 (the toy laws).
    """
    length = law.sequences.shape[1]
    require_feasible(length, reveal.shape[0])
    known = concrete(reveal)
    if known is not None:
        wrong = np.flatnonzero(~((known >= 0) & (known <= 1)))
        if wrong.size:
            raise InputError(
                f"reveal probability {wrong[0]} is {known[wrong[0]]}; pass probabilities in [0, 1]"
            )
    unmasked = jnp.arange(length + 1)
    reveal = reveal.astype(law.log_prob.dtype)
    stay = _powers(1.0 - reveal, length)[:, length - unmasked]
    return _law(law, vocab_size, reveal, stay, sequences)


def fixed_law(
    law: Tabular,
    vocab_size: int,
    counts: Int[Array, " steps"],
    sequences: Int[Array, "num length"],
) -> Float[Array, " num"]:
    """Probability that the K-step sampler with fixed counts ends in each sequence.

    Step k reveals `counts[k]` masked positions, every set of that size with equal probability; else as
    `bernoulli_law`.

    Args:
      law: The target law p.
      vocab_size: Number of tokens d, the mask not counted; static.
      counts: Non-negative, sum n; a step of 0 changes nothing. Traced counts with another sum give
        probability 0.
      sequences: The clean sequences x asked for; `law.sequences` for the support.

    Returns:
      q(x) of each.

    Raises:
      InputError: If 3^n K is more than 10^8, there is no step, known counts are negative or do not sum
        to n, or the sequences do not have the law's length.

    Example:
      >>> from mdmot.distributions import uniform_over
      >>> law = uniform_over([[0, 0], [1, 1]], vocab_size=2)
      >>> fixed_law(law, 2, jnp.array([1, 1]), law.sequences).tolist()
      [0.5, 0.5]
    """
    length = law.sequences.shape[1]
    require_feasible(length, counts.shape[0])
    known = concrete(counts)
    if known is not None and ((known < 0).any() or known.sum() != length):
        raise InputError(
            f"counts {known.tolist()} sum to {known.sum()}; pass non-negative counts of sum {length}"
        )
    dtype = law.log_prob.dtype
    choose = np.array([[math.comb(m, c) for c in range(length + 1)] for m in range(length + 1)])
    after = jnp.cumsum(counts)
    masked = jnp.clip(length - (after - counts), 0, length)
    ways = jnp.asarray(choose, dtype)[masked, jnp.clip(counts, 0, length)]
    is_reached = after[:, None] == jnp.arange(length + 1, dtype=after.dtype)[None]
    stay = jnp.where(is_reached & (ways > 0)[:, None], 1.0 / jnp.maximum(ways, 1.0)[:, None], 0.0)
    return _law(law, vocab_size, jnp.ones(counts.shape, dtype), stay, sequences)


def sampler_law(
    law: Tabular, probability: Float[Array, " support"], path_kl: Float[Array, ""]
) -> SamplerLaw:
    """Legal mass, total variation and divergence of a sampler from its target.

    Everything that the sampler puts outside the support, on sequences or on masks left at the end,
    counts as illegal.

    Args:
      law: The target law p.
      probability: q(x) for the sequences of the support, in their order.
      path_kl: Expected KL given the order of reveals, from `mdmot.information`.

    Returns:
      The comparison.

    Example:
      >>> from mdmot.distributions import uniform_over
      >>> law = uniform_over([[0, 0], [1, 1]], vocab_size=2)
      >>> q = bernoulli_law(law, 2, jnp.array([1.0]), law.sequences)
      >>> result = sampler_law(law, q, jnp.log(2.0))
      >>> float(result.legal_mass), float(result.total_variation), round(float(result.kl), 4)
      (0.5, 0.5, 0.6931)
    """
    target = jnp.exp(law.log_prob)
    legal_mass = jnp.sum(probability)
    gap = jnp.where(target > 0, target * (law.log_prob - jnp.log(probability)), 0.0)
    return SamplerLaw(
        legal_mass=legal_mass,
        total_variation=0.5 * (jnp.sum(jnp.abs(target - probability)) + 1.0 - legal_mass),
        kl=jnp.sum(gap),
        path_kl=path_kl,
    )


@functools.partial(jax.jit, static_argnames="vocab_size")
def _law(
    law: Tabular,
    vocab_size: int,
    reveal: Float[Array, " steps"],
    stay: Float[Array, "steps sizes"],
    sequences: Int[Array, "num length"],
) -> Float[Array, " num"]:
    """q(x) when a step goes from S to S' with probability reveal^{|S' - S|} stay[|S'|]."""
    num, length = sequences.shape
    require_length(law, length)
    dtype = law.log_prob.dtype
    size = lax.population_count(jnp.arange(2**length))

    # Recomputed in reverse mode, which would otherwise keep 3^n K terms of every sequence.
    @jax.checkpoint
    def final_probability(sequence: Array) -> Array:
        products = _reveal_products(subset_conditionals(law, sequence, vocab_size))

        def step(mass: Array, weights: tuple[Array, Array]) -> tuple[Array, None]:
            reveal_prob, stay_prob = weights
            return stay_prob[size] * _merge(_spread(mass) * products, reveal_prob), None

        mass, _ = lax.scan(step, jnp.zeros(2**length, dtype).at[0].set(1.0), (reveal, stay))
        return mass[-1]

    # Batches of equal size: a smaller last one would be compiled apart.
    batches = 1 + num * 3**length // _BATCH_TERMS
    batch = max(1, -(-num // batches))
    padded = jnp.pad(sequences, ((0, -num % batch), (0, 0)), mode="edge")
    return lax.map(final_probability, padded, batch_size=batch)[:num]


# A step is a word of n letters 0, 1, 2: the position stays masked, is revealed, was unmasked before.
# The 3^n words are laid out like the subsets, one axis a position, so that no table of indices is needed.


def _spread(mass: Float[Array, " subsets"]) -> Float[Array, " words"]:
    """For every word, the value of the positions that were unmasked before."""
    words, done = mass, 1
    while done < words.shape[0]:
        cube = words.reshape(done, 2, -1)
        masked, unmasked = cube[:, 0], cube[:, 1]
        words = jnp.stack([masked, masked, unmasked], axis=1).reshape(-1)
        done *= 3
    return words


def _merge(words: Float[Array, " words"], reveal: Float[Array, ""]) -> Float[Array, " subsets"]:
    """For every subset, the sum of the words that end in it, times `reveal` a revealed position."""
    mass, done = words, 1
    while done < mass.shape[0]:
        cube = mass.reshape(done, 3, -1)
        masked, revealed, unmasked = cube[:, 0], cube[:, 1], cube[:, 2]
        mass = jnp.stack([masked, reveal * revealed + unmasked], axis=1).reshape(-1)
        done *= 2
    return mass


def _reveal_products(conditionals: Float[Array, "length subsets"]) -> Float[Array, " words"]:
    """For every word, the product of p(x_i | x_S) over the positions revealed, S those unmasked before."""
    length, subsets = conditionals.shape
    # Row 0 is the product over the positions treated; below, the conditionals of the others.
    table = jnp.concatenate([jnp.ones((1, subsets), conditionals.dtype), conditionals])
    # Blocks of four positions, each spread by one matrix product, compile much faster than single ones.
    for first in range(0, length, 4):
        block = min(4, length - first)
        spread = functools.reduce(np.kron, [np.array([[1, 0], [1, 0], [0, 1]])] * block)
        is_revealed = np.stack(np.unravel_index(np.arange(3**block), (3,) * block)) == 1
        cube = table.reshape(table.shape[0], 3**first, 2**block, -1)
        cube = jnp.einsum(
            "wi,raib->rawb", jnp.asarray(spread, table.dtype), cube, precision=lax.Precision.HIGHEST
        )
        factors = jnp.where(is_revealed[:, None, :, None], cube[1 : block + 1], 1.0)
        product = cube[:1] * jnp.prod(factors, axis=0, keepdims=True)
        table = jnp.concatenate([product, cube[block + 1 :]])
    return table.reshape(-1)


def _powers(base: Float[Array, " steps"], largest: int) -> Float[Array, "steps exponents"]:
    """base^0..base^largest; products, so that 0^0 = 1 and derivatives are finite at 0."""
    factors = jnp.concatenate([jnp.ones_like(base)[:, None], jnp.tile(base[:, None], (1, largest))], axis=1)
    return jnp.cumprod(factors, axis=1)


def require_feasible(length: int, steps: int) -> None:
    """Refuses a law that is too large to be summed, from its size alone.

    Args:
      length: Tokens in a sequence, n >= 1.
      steps: Sampling steps K.

    Raises:
      InputError: If there is no step or 3^n K is more than 10^8.

    Example:
      >>> require_feasible(length=16, steps=2)
    """
    if steps < 1:
        raise InputError("the sampler has no steps; pass at least one")
    # In logarithms: the number itself may exceed every float.
    log_terms = length * math.log10(3) + math.log10(steps)
    if log_terms > math.log10(MAX_TERMS):
        raise InputError(
            f"the exact law of {steps} steps on {length} tokens has 3^{length} * {steps} ="
            f" {10 ** (log_terms % 1):.1f}e+{int(log_terms):02d} terms a sequence, more than the limit"
            f" {MAX_TERMS:.0e}: take fewer steps or shorter sequences, or sample and count"
        )
