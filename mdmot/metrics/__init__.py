"""Metrics: what samples and models are worth, each number with its error."""

from mdmot.metrics.equality import Finding, chi_square_of_sequences, deviation, hotelling
from mdmot.metrics.estimate import Estimate, Share, mean_of, share_of
from mdmot.metrics.foreign import Sampler, draw_checked
from mdmot.metrics.laws import (
    Distance,
    kl_to_law,
    kl_to_sampler,
    sequence_error_rate,
    token_error_rate,
    total_variation_to_law,
)
from mdmot.metrics.laws_of_pairs import PairLaw, distances_of, pair_laws
from mdmot.metrics.likelihood import SamplerLikelihood, sampler_likelihood
from mdmot.metrics.pairs import PairStatistics, compare_pairs
from mdmot.metrics.perplexity import HeldOut, generative_perplexity, held_out_bits, in_bits
from mdmot.metrics.samples import (
    distinct_n,
    exact_match,
    legal_share,
    parse_rate,
    parses,
    solve_rate,
    unigram_entropy,
)
from mdmot.metrics.two_samples import Apart, total_variation_of_samples

__all__ = [
    "Apart",
    "Distance",
    "Estimate",
    "Finding",
    "HeldOut",
    "PairLaw",
    "PairStatistics",
    "Sampler",
    "SamplerLikelihood",
    "Share",
    "chi_square_of_sequences",
    "compare_pairs",
    "deviation",
    "distances_of",
    "distinct_n",
    "draw_checked",
    "exact_match",
    "generative_perplexity",
    "held_out_bits",
    "hotelling",
    "in_bits",
    "kl_to_law",
    "kl_to_sampler",
    "legal_share",
    "mean_of",
    "pair_laws",
    "parse_rate",
    "parses",
    "sampler_likelihood",
    "sequence_error_rate",
    "share_of",
    "solve_rate",
    "token_error_rate",
    "total_variation_of_samples",
    "total_variation_to_law",
    "unigram_entropy",
]
