"""The kinds of laws: which functions make the law of which arrays."""

import functools
import math
from collections.abc import Callable

import numpy as np
from jax import Array

from mdmot._types import Params
from mdmot.distributions.given_entropies import GivenEntropies, exchangeable_given_entropies
from mdmot.distributions.hidden_chains import (
    HiddenMarkov,
    hidden_markov_denoiser,
    hidden_markov_log_prob,
    hidden_markov_sample,
    log_total_weight,
)
from mdmot.distributions.law import Family, Law
from mdmot.distributions.markov import (
    markov_denoiser,
    markov_entropy,
    markov_given_entropies,
    markov_log_prob,
    markov_profile,
    markov_sample,
)
from mdmot.distributions.mixture import (
    MixtureOfProducts,
    mixture_denoiser,
    mixture_log_prob,
    mixture_sample,
)
from mdmot.distributions.permutations import (
    permutation_denoiser,
    permutation_log_prob,
    permutation_profile,
    permutation_sample,
)
from mdmot.distributions.profile_of_exchangeable import exchangeable_profile
from mdmot.distributions.profile_of_tables import information_profile
from mdmot.distributions.tables import MAX_STATES, Tabular, entropy, log_prob, sample, tabular_denoiser
from mdmot.distributions.walk import (
    BernoulliWalk,
    walk_denoiser,
    walk_given_entropies,
    walk_log_prob,
    walk_profile,
    walk_sample,
)


def tabular_law(table: Tabular, symbols: tuple[str, ...], spec: str = "a table") -> Law:
    """The law of a table.

    Args:
      table: Its sequences and their probabilities.
      symbols: The text of each token.
      spec: What to call it, as the path of its file.

    Returns:
      The law; its profile is exact unless there are more than 2^24 subsets of positions.

    Example:
      >>> from mdmot.distributions import uniform_over
      >>> law = tabular_law(uniform_over([[0, 0], [1, 1]], 2), ("a", "b"))
      >>> [round(abs(float(h)), 4) for h in law.profile()]
      [0.6931, 0.0]
    """
    return Law(spec, table.sequences.shape[1], symbols, tables(len(symbols)), table)


@functools.cache
def tables(vocab_size: int) -> Family:
    """Tables over this many tokens; the same family for the same number."""
    return Family(
        denoiser=tabular_denoiser(vocab_size),
        sample=lambda key, law, length, num: sample(key, law, num),
        log_prob=log_prob,
        entropy=lambda law, length: float(entropy(law)),
        profile=lambda law, length: information_profile(law) if 2**length <= MAX_STATES else None,
        given_entropies=_unknown,
    )


def _mixture_profile(law: MixtureOfProducts, length: int) -> np.ndarray | None:
    """Known where the order of the tokens does not matter."""
    weights, probs = (np.asarray(x, np.float64) for x in law)
    is_exchangeable = bool((probs == probs[:, :1]).all())
    return exchangeable_profile(weights, probs[:, 0], length) if is_exchangeable else None


def _mixture_entropy(law: MixtureOfProducts, length: int) -> float | None:
    known = _mixture_profile(law, length)
    return None if known is None else float(known.sum())


def _walk_entropy(law: BernoulliWalk, length: int) -> float:
    up = float(law.up)
    return -length * (up * math.log(up) + (1 - up) * math.log1p(-up))


def _words_entropy(law: HiddenMarkov, length: int) -> float:
    return float(log_total_weight(law, length))


def _parity_profile(law: HiddenMarkov, length: int) -> np.ndarray:
    """Whichever token comes last is decided by the others, which are fair bits."""
    return np.append(np.full(length - 1, math.log(2)), 0.0)


def _exchangeable(
    profile: Callable[[Params, int], np.ndarray | None],
) -> Callable[[Params, int], GivenEntropies | None]:
    """The entropies of laws whose positions are all alike, where their profile is known."""

    def given_entropies(law: Params, length: int) -> GivenEntropies | None:
        known = profile(law, length)
        return None if known is None else exchangeable_given_entropies(known)

    return given_entropies


def _unknown(law: Params, length: int) -> None:
    return None


def _permutation_profile(law: object, length: int) -> np.ndarray:
    return np.asarray(permutation_profile(length))


def _permutation_log_prob(law: object, tokens: Array) -> Array:
    return permutation_log_prob(tokens)


MARKOV = Family(
    markov_denoiser,
    markov_sample,
    markov_log_prob,
    markov_entropy,
    markov_profile,
    markov_given_entropies,
)

HIDDEN = Family(
    hidden_markov_denoiser,
    hidden_markov_sample,
    hidden_markov_log_prob,
    entropy=_unknown,
    profile=_unknown,
    given_entropies=_unknown,
)

WORDS = HIDDEN._replace(entropy=_words_entropy)
"""Words of an automaton, all alike."""

PARITY = WORDS._replace(
    entropy=lambda law, length: math.log(2) * (length - 1),
    profile=_parity_profile,
    given_entropies=_exchangeable(_parity_profile),
)

PERMUTATIONS = Family(
    permutation_denoiser,
    sample=lambda key, law, length, num: permutation_sample(key, length, num),
    log_prob=_permutation_log_prob,
    entropy=lambda law, length: math.lgamma(length + 1),
    profile=_permutation_profile,
    given_entropies=_exchangeable(_permutation_profile),
)

WALKS = Family(
    walk_denoiser,
    walk_sample,
    walk_log_prob,
    entropy=_walk_entropy,
    profile=lambda law, length: walk_profile(float(law.up), length),
    given_entropies=lambda law, length: walk_given_entropies(float(law.up), length),
)

MIXTURES = Family(
    mixture_denoiser,
    sample=lambda key, law, length, num: mixture_sample(key, law, num),
    log_prob=mixture_log_prob,
    entropy=_mixture_entropy,
    profile=_mixture_profile,
    given_entropies=_exchangeable(_mixture_profile),
)
