"""The samplers of other systems by name: their rules, counts and grids, made of ours."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mdmot._types import Knob
from mdmot.arguments import whole
from mdmot.samplers.bernoulli import BernoulliUnmasking
from mdmot.samplers.blocks import SemiAutoregressive
from mdmot.samplers.choice import Categorical, Choice, Likeliest, Transform
from mdmot.samplers.counts import even, floored_rest, rounded_share, truncated_share
from mdmot.samplers.fixed import FixedUnmasking
from mdmot.samplers.preset_grids import dream_grid, even_grid, grid_as_given, shares, values_at
from mdmot.samplers.ranked import Ranked
from mdmot.samplers.rule import Rule
from mdmot.samplers.scores import AnnealedNoise, ConstantNoise, MaxProbability, Probability, ScoreRule
from mdmot.samplers.sizes import Scheduled
from mdmot.schedules import masks
from mdmot.schedules.grids import StepGrid
from mdmot.schedules.masks import MaskSchedule

DRAWN, LIKELIEST, SUREST = Categorical(), Likeliest(), MaxProbability()
LINEAR, COSINE = masks.linear(), masks.cosine()


class Preset(NamedTuple):
    """What `mdmot.samplers.sample` needs to sample as another system does.

    Grids are made on the host, to the peer's own rounding: a schedule's parameters must be known.

    Attributes:
      rule: How positions are chosen and filled.
      grid: The steps, in float32; in blocks, those of each block.
    """

    rule: Rule | SemiAutoregressive
    grid: StepGrid


def mdlm(num_steps: int, *, choice: Choice = DRAWN) -> Preset:
    """MDLM's ancestral sampler: `ddpm` and `ddpm_cache` of kuleshov-group/mdlm, log-linear noise.

    Noise time runs over linspace(1, 1e-5, N + 1); a step from t to s reveals each masked position with
    probability (t - s)/t, for both samplers, since the 1e-3 of `ddpm` cancels. A last call fills what
    is left, about 1e-5 of the positions, with the likeliest tokens.

    The law is MDLM's for a network without time conditioning (one that reads the time is told the
    unmasked share of each row). What differs: position and token are drawn apart, so that no 1e-10 is
    added to a uniform. And the network is called in the steps that reveal something, the last one
    included, where `ddpm` calls it in every step and `ddpm_cache` after every step that revealed
    something anywhere in the batch.

    Args:
      num_steps: N; the grid has N + 1 steps, with the last call.
      choice: How tokens are chosen before the last call; MDLM draws them.

    Returns:
      The rule and its grid.

    Raises:
      InputError: If num_steps is not a whole number of at least 1.

    Example:
      >>> preset = mdlm(2)
      >>> [round(float(r), 4) for r in preset.grid.reveal]
      [0.5, 1.0, 1.0]

    References:
      Sahoo et al., arXiv:2406.07524.
    """
    t = np.linspace(1.0, 1e-5, whole("num_steps", num_steps) + 1)
    rule = BernoulliUnmasking(choice, last_choice=Likeliest(choice.transforms))
    return Preset(rule, grid_as_given(np.append(1 - t, 1.0), np.append((t[:-1] - t[1:]) / t[:-1], 1.0)))


def md4(
    num_steps: int,
    *,
    schedule: MaskSchedule = COSINE,
    choice: Choice = DRAWN,
) -> Preset:
    """MD4's ancestral sampler: `ancestral`, `mean` and `topp` of google-deepmind/md4.

    With a(t) the schedule, P(unmasked) is (1 - 2e-4) a(t) + 1e-4; a step from t to s reveals each masked
    position with probability (alpha(s) - alpha(t))/(1 - alpha(t)), and a last call fills what is left,
    about 1e-4 of the positions, with the likeliest tokens.

    `ancestral` draws mask or token in one go and `mean` in two; the law is the same, and ours, for a
    network without time conditioning. What differs: the network is called only in steps that reveal
    something.

    Args:
      num_steps: N; the grid has N + 1 steps, with the last call.
      schedule: a(t). The cosine one is both of MD4's usual pairs, linear noise on the cosine grid and
        cosine noise on the uniform grid.
      choice: How tokens are chosen before the last call; `Categorical((TopP(0.98),))` is `topp`.

    Returns:
      The rule and its grid.

    Raises:
      InputError: If num_steps is not a whole number of at least 1.

    Example:
      >>> preset = md4(2, schedule=masks.linear())
      >>> [round(float(r), 4) for r in preset.grid.reveal]
      [0.4999, 0.9998, 1.0]

    References:
      Shi et al., arXiv:2406.04329.
    """
    eps = 1e-4
    times = np.arange(whole("num_steps", num_steps) + 1) / num_steps
    masked, unmasked = values_at(schedule.complement, times), values_at(schedule.alpha, times)
    now = (1 - 2 * eps) * masked[:-1] + eps
    reveal = (1 - 2 * eps) * (masked[:-1] - masked[1:]) / now
    # The first step starts at P(unmasked) = 1e-4 and yet with nothing unmasked.
    alpha = (1 - 2 * eps) / (1 - eps) * unmasked
    rule = BernoulliUnmasking(choice, last_choice=Likeliest(choice.transforms))
    return Preset(rule, grid_as_given(np.append(alpha, 1.0), np.append(reveal, 1.0)))


def maskgit(
    num_steps: int,
    *,
    choice_temperature: Knob = 1.0,
    schedule: MaskSchedule = COSINE,
    choice: Choice = DRAWN,
) -> Preset:
    """MaskGIT's parallel decoding: `parallel_decode.decode` of google-research/maskgit.

    Step i of N draws a token for every masked position and keeps the surest ones, by log p plus Gumbel
    noise of scale T (1 - r), r = (i + 1)/N, so that floor(n g(r)) of the n positions masked at the start
    are masked again: at least one, and at least one fewer than before. The last step keeps all.

    The mask ratios g(r) are rounded to float32 as in MaskGIT, so that the counts agree to the token: at
    r = 2/3 its cosine falls short of 1/2, and one position fewer is masked. What differs: scores that
    tie, of which MaskGIT would keep too many, are kept from left to right; steps that reveal nothing,
    after all positions but one are revealed, make no call.

    Args:
      num_steps: N.
      choice_temperature: T, at least 0; 4.5 in the paper's images.
      schedule: 1 - g; the cosine one is g(r) = cos(pi r / 2), the linear one MaskGIT's `uniform`, and
        `power(n)` its `pow`.
      choice: How tokens are proposed; MaskGIT draws them.

    Returns:
      The rule and its grid.

    Raises:
      InputError: If num_steps is not a whole number of at least 1.

    Example:
      >>> preset = maskgit(2)
      >>> [round(float(a), 4) for a in preset.grid.alpha]
      [0.0, 0.2929, 1.0]

    References:
      Chang et al., arXiv:2202.04200.
    """
    ratio = np.arange(whole("num_steps", num_steps) + 1, dtype=np.float32) / np.float32(num_steps)
    masked = values_at(schedule.complement, ratio).astype(np.float32).astype(np.float64)
    # Rounded up: 1 - alpha, which the counts are read from, must not exceed the peer's ratio.
    alpha = (1 - masked).astype(np.float32)
    alpha = np.where(alpha < 1 - masked, np.nextafter(alpha, np.float32(2)), alpha)
    rule = Ranked(Scheduled(floored_rest), SUREST, choice, AnnealedNoise(choice_temperature))
    return Preset(rule, grid_as_given(alpha, shares(masked)))


def llada(
    num_steps: int,
    *,
    block_length: int | None = None,
    choice: Choice = LIKELIEST,
    score: ScoreRule = SUREST,
) -> Preset:
    """LLaDA's low-confidence remasking: `generate` of ML-GSAI/LLaDA with `low_confidence`.

    Blocks from left to right; step i of a block reveals n // S + (i < n mod S) of its n masked positions,
    those whose proposed tokens are likeliest under the network's own distribution, whatever the
    temperature that they were drawn at.

    LLaDA's own network has a logit for the mask and needs `mdmot.denoisers.WithoutToken`; with guidance it
    is a `GuidedDenoiser`, of scale cfg_scale + 1. What differs: a block has S steps, where LLaDA is
    told the steps of all blocks together; S and the length need not divide anything. Confidences are
    compared as log p in float32, which keeps the digits near p = 1, and not as p in float64; equal ones
    go from left to right. Steps that reveal nothing make no call. Rows have prompts of their own
    lengths.

    Args:
      num_steps: S, steps of each block: LLaDA's steps block_length / gen_length.
      block_length: Positions of a block, counted from a row's first masked one; None for one block.
      choice: How tokens are proposed. `Categorical((Temperature(T),))` is LLaDA's temperature T > 0.
        `logits_eos_inf` is a `Forbid` both here and in the score.
      score: How sure the network is. `MaxProbability((Forbid(ids),))` is `confidence_eos_eot_inf`, as
        it was meant: a proposed end of sequence is revealed last.

    Returns:
      The rule and the grid of one block.

    Raises:
      InputError: If num_steps is not a whole number of at least 1.

    Example:
      >>> preset = llada(16, block_length=32)
      >>> preset.rule.block_length, preset.grid.reveal.shape
      (32, (16,))

    References:
      Nie et al., arXiv:2502.09992.
    """
    rule = Ranked(Scheduled(even), score, choice)
    return Preset(_in_blocks(rule, block_length), even_grid(num_steps))


def llada_random(
    num_steps: int,
    *,
    block_length: int | None = None,
    choice: Choice = LIKELIEST,
) -> Preset:
    """LLaDA's random remasking: `generate` of ML-GSAI/LLaDA with `random`.

    As `llada`, with the positions of a block in a uniformly random order.

    Args:
      num_steps: Steps of each block.
      block_length: Positions of a block, counted from a row's first masked one; None for one block.
      choice: How tokens are chosen.

    Returns:
      The rule and the grid of one block.

    Raises:
      InputError: If num_steps is not a whole number of at least 1.

    References:
      Nie et al., arXiv:2502.09992.
    """
    rule = FixedUnmasking(choice, counts=even)
    return Preset(_in_blocks(rule, block_length), even_grid(num_steps))


def dllm(
    num_steps: int,
    *,
    schedule: MaskSchedule = LINEAR,
    block_length: int | None = None,
    choice: Choice = LIKELIEST,
    score: ScoreRule = SUREST,
) -> Preset:
    """The library dllm's masked sampler: `MDLMSampler.sample` of ZHZisZZ/dllm, `low_confidence`.

    As `llada`, with the counts of a schedule: a step from t to s reveals the round-half-even of
    n (alpha(s) - alpha(t))/(1 - alpha(t)) of the n positions that are masked then. Steps that reveal
    nothing make no call; dllm drops them.

    With `right_shift_logits` the network is a `mdmot.denoisers.ShiftedDenoiser`. The share is rounded
    to float32 and its product with n is not, as in dllm: with the linear schedule the product is often
    half a token too many, and these roundings decide. What differs is what differs in `llada`; and
    `stochastic_transfer`, whose counts are binomial, is not reproduced. With `random` remasking dllm is
    a `FixedUnmasking` with the counts `rounded_share`.

    Args:
      num_steps: Steps of each block: dllm's steps over the number of blocks, rounded up.
      schedule: dllm's own are the linear and the cosine one.
      block_length: Positions of a block, counted from a row's first masked one; None for one block.
      choice: How tokens are proposed; a `Forbid` here and in the score is `suppress_tokens`.
      score: How sure the network is; a `Forbid` here alone is `begin_suppress_tokens`.

    Returns:
      The rule and the grid of one block.

    Raises:
      InputError: If num_steps is not a whole number of at least 1.

    Example:
      >>> preset = dllm(4)
      >>> [round(float(r), 4) for r in preset.grid.reveal]
      [0.25, 0.3333, 0.5, 1.0]
    """
    noise_time = (np.arange(whole("num_steps", num_steps), -1, -1) / num_steps).astype(np.float32)
    alpha = values_at(schedule.alpha, 1 - noise_time.astype(np.float64)).astype(np.float32)
    rule = Ranked(Scheduled(rounded_share), score, choice)
    return Preset(_in_blocks(rule, block_length), grid_as_given(alpha, shares(1 - alpha)))


def dream(
    num_steps: int,
    *,
    choice: Choice = LIKELIEST,
    score: Callable[[tuple[Transform, ...]], ScoreRule] = Probability,
    alg_temp: Knob | None = None,
    eps: float = 1e-3,
) -> Preset:
    """Dream's confidence orders: `diffusion_generate` of Dream-v0, with any `alg` but `origin`.

    Noise time runs over linspace(1, eps, N + 1); a step from t to s reveals floor(n (1 - s/t)) of the n
    masked positions, and the last one all: with N = n the counts are 0, 1, 1, ..., 1, 2. The surest
    positions come first, or, with alg_temp, positions drawn without replacement from the softmax of
    confidence / alg_temp. Confidences are of the distribution that tokens are drawn from, after
    temperature and top-p.

    Dream's own network predicts the next token and needs `mdmot.denoisers.ShiftedDenoiser`. What differs: n
    is each row's own, where Dream takes the mean over the batch, so that its rows depend
    on each other; in a batch of equal rows they are the same. A step that reveals nothing makes no call.
    Dream's top-p goes on if the mass is p exactly, and its top-k keeps ties.

    Args:
      num_steps: N.
      choice: How tokens are proposed. `Categorical((Temperature(0.2), TopP(0.95)))` is Dream's
        temperature=0.2, top_p=0.95, and `Likeliest((TopP(0.95),))` its temperature=0, top_p=0.95.
      score: `Probability` is `maskgit_plus`, `Margin` is `topk_margin`, `NegativeEntropy` is `entropy`.
      alg_temp: Scale of the Gumbel noise on the confidences; None for none.
      eps: Noise time before the end.

    Returns:
      The rule and its grid.

    Raises:
      InputError: If num_steps is not a whole number of at least 1.

    Example:
      >>> from mdmot.samplers.scores import Margin
      >>> preset = dream(4, score=Margin)
      >>> [round(float(r), 4) for r in preset.grid.reveal]
      [0.2498, 0.3329, 0.499, 1.0]

    References:
      Ye et al., arXiv:2508.15487.
    """
    noise = None if alg_temp is None else ConstantNoise(alg_temp)
    rule = Ranked(Scheduled(truncated_share), score(choice.transforms), choice, noise)
    return Preset(rule, dream_grid(num_steps, eps))


def dream_origin(num_steps: int, *, choice: Choice = LIKELIEST, eps: float = 1e-3) -> Preset:
    """Dream's ancestral sampler: `diffusion_generate` of Dream-v0 with `alg="origin"`.

    A step from t to s reveals each masked position with probability 1 - s/t, and the last one all. The
    law is Dream's; a step that reveals nothing makes no call.

    Args:
      num_steps: N.
      choice: How tokens are chosen, as in `dream`.
      eps: Noise time before the end.

    Returns:
      The rule and its grid.

    Raises:
      InputError: If num_steps is not a whole number of at least 1.

    References:
      Ye et al., arXiv:2508.15487.
    """
    return Preset(BernoulliUnmasking(choice), dream_grid(num_steps, eps))


def _in_blocks(rule: Rule, block_length: int | None) -> Rule | SemiAutoregressive:
    return rule if block_length is None else SemiAutoregressive(rule, block_length)
