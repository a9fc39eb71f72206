"""Laws over token sequences whose conditionals are known exactly, and the denoisers they make."""

from mdmot.distributions.automaton import bracket_moves, padded_moves, parity_moves, uniform_words
from mdmot.distributions.families import tabular_law
from mdmot.distributions.given_entropies import (
    GivenEntropies,
    chain_given_entropies,
    exchangeable_given_entropies,
    table_given_entropies,
)
from mdmot.distributions.hidden_chains import (
    HiddenMarkov,
    hidden_markov,
    hidden_markov_denoiser,
    hidden_markov_log_prob,
    hidden_markov_sample,
    log_total_weight,
)
from mdmot.distributions.law import Entropy, Family, Law
from mdmot.distributions.law_files import read_law_file
from mdmot.distributions.markov import (
    MarkovChain,
    markov_chain,
    markov_denoiser,
    markov_entropy,
    markov_given_entropies,
    markov_log_prob,
    markov_profile,
    markov_sample,
    sticky_chain,
)
from mdmot.distributions.mixture import (
    MixtureOfProducts,
    mixture_denoiser,
    mixture_log_prob,
    mixture_of_products,
    mixture_sample,
    noisy_repeated_bit,
)
from mdmot.distributions.named_laws import LAWS, read_law
from mdmot.distributions.permutations import (
    UniformPermutations,
    permutation_denoiser,
    permutation_log_prob,
    permutation_profile,
    permutation_sample,
)
from mdmot.distributions.profile_of_chains import chain_profile
from mdmot.distributions.profile_of_exchangeable import exchangeable_profile
from mdmot.distributions.random_laws import (
    random_contexts,
    random_hidden_markov,
    random_mixture,
    random_words,
)
from mdmot.distributions.sampled_entropy import estimated_entropy
from mdmot.distributions.subsets import mean_by_size, subset_conditionals, subset_probabilities
from mdmot.distributions.tables import (
    Tabular,
    dense,
    entropy,
    log_prob,
    posterior_marginals,
    sample,
    tabular,
    tabular_denoiser,
    uniform_over,
)
from mdmot.distributions.walk import (
    BernoulliWalk,
    bernoulli_walk,
    walk_denoiser,
    walk_given_entropies,
    walk_log_prob,
    walk_profile,
    walk_sample,
)

__all__ = [
    "LAWS",
    "BernoulliWalk",
    "Entropy",
    "Family",
    "GivenEntropies",
    "HiddenMarkov",
    "Law",
    "MarkovChain",
    "MixtureOfProducts",
    "Tabular",
    "UniformPermutations",
    "bernoulli_walk",
    "bracket_moves",
    "chain_given_entropies",
    "chain_profile",
    "dense",
    "entropy",
    "estimated_entropy",
    "exchangeable_given_entropies",
    "exchangeable_profile",
    "hidden_markov",
    "hidden_markov_denoiser",
    "hidden_markov_log_prob",
    "hidden_markov_sample",
    "log_prob",
    "log_total_weight",
    "markov_chain",
    "markov_denoiser",
    "markov_entropy",
    "markov_given_entropies",
    "markov_log_prob",
    "markov_profile",
    "markov_sample",
    "mean_by_size",
    "mixture_denoiser",
    "mixture_log_prob",
    "mixture_of_products",
    "mixture_sample",
    "noisy_repeated_bit",
    "padded_moves",
    "parity_moves",
    "permutation_denoiser",
    "permutation_log_prob",
    "permutation_profile",
    "permutation_sample",
    "posterior_marginals",
    "random_contexts",
    "random_hidden_markov",
    "random_mixture",
    "random_words",
    "read_law",
    "read_law_file",
    "sample",
    "sticky_chain",
    "subset_conditionals",
    "subset_probabilities",
    "table_given_entropies",
    "tabular",
    "tabular_denoiser",
    "tabular_law",
    "uniform_over",
    "uniform_words",
    "walk_denoiser",
    "walk_given_entropies",
    "walk_log_prob",
    "walk_profile",
    "walk_sample",
]
