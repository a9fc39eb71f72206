"""Metrics: what samples and models are worth, each number with its error."""

from mdmot.metrics.estimate import Estimate as Estimate
from mdmot.metrics.estimate import Share as Share
from mdmot.metrics.estimate import mean_of as mean_of
from mdmot.metrics.estimate import share_of as share_of
from mdmot.metrics.language import HeldOut as HeldOut
from mdmot.metrics.language import generative_perplexity as generative_perplexity
from mdmot.metrics.language import held_out_bits as held_out_bits
from mdmot.metrics.laws import Distance as Distance
from mdmot.metrics.laws import kl_to_law as kl_to_law
from mdmot.metrics.laws import kl_to_sampler as kl_to_sampler
from mdmot.metrics.laws import sequence_error_rate as sequence_error_rate
from mdmot.metrics.laws import token_error_rate as token_error_rate
from mdmot.metrics.laws import total_variation_to_law as total_variation_to_law
from mdmot.metrics.likelihood import SamplerLikelihood as SamplerLikelihood
from mdmot.metrics.likelihood import sampler_likelihood as sampler_likelihood
from mdmot.metrics.samples import distinct_n as distinct_n
from mdmot.metrics.samples import exact_match as exact_match
from mdmot.metrics.samples import legal_share as legal_share
from mdmot.metrics.samples import parse_rate as parse_rate
from mdmot.metrics.samples import parses as parses
from mdmot.metrics.samples import solve_rate as solve_rate
from mdmot.metrics.samples import unigram_entropy as unigram_entropy
