"""How many of the surest positions a step reveals: as the schedule says, or as the network is sure."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float, PyTree

from mdmot._types import Knob, Tokens
from mdmot.arguments import concrete
from mdmot.errors import InputError
from mdmot.plans import Fixed, RevealKind
from mdmot.samplers.counts import CountRule, Rows, fewest, rounded
from mdmot.samplers.logits import RowLogits, entropy
from mdmot.samplers.network import Network
from mdmot.samplers.rule import configuration, static
from mdmot.samplers.selection import in_order
from mdmot.samplers.steps import StepInput


class Ranking(NamedTuple):
    """What a step knows of its positions.

    Attributes:
      scores: How sure the network is of each, in float32.
      order: The same, with noise if there is any: the largest come first.
      is_masked: The positions that may be revealed.
    """

    scores: Float[Array, "batch length"]
    order: Float[Array, "batch length"]
    is_masked: Bool[Array, "batch length"]


class Judged(NamedTuple):
    """What a size makes of a ranking.

    Attributes:
      number: How many positions of each row the network is sure enough of; 0 is no harm.
      order: The largest come first.
      memory: What is remembered in the next step.
    """

    number: Rows
    order: Float[Array, "batch length"]
    memory: PyTree = ()


class Size:
    """How many of the surest positions a step reveals; a subclass is a `configuration`, as rules are.

    What is here is what most sizes that look at the network have in common: they find their own number of
    steps, keep nothing of the logits but the scores, and remember nothing.
    """

    @property
    def reveals(self) -> RevealKind | None:
        """The kind of the plans that it keeps to; None if the network decides."""
        return None

    @property
    def reads_logarithms(self) -> bool:
        """Whether it compares scores with the logarithm of a probability."""
        return False

    def max_steps(self, length: int) -> int | None:
        """Steps that suffice for a row of this length whatever the network says; None if a grid says."""
        return length

    def init(self, network: Network, tokens: Tokens) -> PyTree:
        """What it remembers before the first step."""
        return ()

    def least(self, step: StepInput, num_masked: Rows, num_left: Rows) -> Rows:
        """Positions of each row that are revealed in any case, known before the network is called.

        A row that reveals none does not call it.
        """
        return fewest(step, num_masked, num_left)

    def look(self, logits: RowLogits, law: RowLogits) -> PyTree:
        """What it keeps of a position's logits, and of the law that they became by the choice."""
        return ()

    def unseen(self, tokens: Tokens, memory: PyTree) -> PyTree:
        """The same where the network is not looked at, arrays [batch, length, ...]."""
        return ()

    def judge(self, ranking: Ranking, seen: PyTree, memory: PyTree) -> Judged:
        """How many positions the network is sure enough of, by the scores and what was kept."""
        raise NotImplementedError


@configuration
class Scheduled(Size):
    """As many as the schedule says, whatever the network is sure of.

    Attributes:
      counts: How many positions a step reveals.
    """

    counts: CountRule = static(default=rounded)

    @property
    def reveals(self) -> RevealKind | None:
        """Fixed numbers of positions, as a plan rounds them or in another way."""
        return Fixed if self.counts is rounded else None

    def max_steps(self, length: int) -> None:
        """As many as the grid has."""
        del length

    def least(self, step: StepInput, num_masked: Rows, num_left: Rows) -> Rows:
        """The count of the step."""
        return self.counts(step, num_masked, num_left)

    def judge(self, ranking: Ranking, seen: PyTree, memory: PyTree) -> Judged:
        """No more than the count."""
        del seen, memory
        return Judged(jnp.zeros(ranking.order.shape[0], jnp.int32), ranking.order)


@configuration
class Threshold(Size):
    """Every position whose confidence reaches a threshold, and always the surest.

    The confidence c of a position is the exponential of its score: by default the probability of the
    proposed token. What is compared is the score with log(threshold), in float32, so that of V equally
    likely tokens each reaches 1/V. At a threshold of 0 everything is revealed at once; at 1, what is
    certain, else one position a step. With the score `NegativeEntropy` a position is revealed once its
    entropy is at most log(1/threshold).

    Attributes:
      threshold: Confidence that suffices, in [0, 1].

    References:
      Wu et al., arXiv:2505.22618 (Fast-dLLM).
    """

    threshold: Knob = 0.9

    @property
    def reads_logarithms(self) -> bool:
        """It compares the score with the logarithm of a confidence."""
        return True

    def assert_values(self) -> None:
        """Raises InputError if the threshold is known and outside [0, 1]."""
        known = concrete(self.threshold)
        if known is not None and not ((known >= 0) & (known <= 1)).all():
            raise InputError(f"threshold {known} is outside [0, 1]; pass a probability, e.g. 0.9")

    def judge(self, ranking: Ranking, seen: PyTree, memory: PyTree) -> Judged:
        """The positions that reach the threshold."""
        is_sure = ranking.scores >= jnp.log(jnp.asarray(self.threshold, jnp.float32))
        return Judged((ranking.is_masked & is_sure).sum(axis=1, dtype=jnp.int32), ranking.order)


@configuration
class Factor(Size):
    """As many of the surest positions as their confidences allow together.

    With confidences c_1 >= c_2 >= ... these are the first n, for the largest n >= 2 with
    (n + 1)(1 - c_n) <= factor, and always the first one. At a factor of at most 1 the likeliest tokens
    of the n positions are jointly the likeliest under every law with these marginals. This is the
    published rule; its authors' code departs from it where only the least sure of all masked positions
    fails, and reveals that one too.

    Attributes:
      factor: At least 0; 0 reveals what is certain, else one position a step.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mdmot import Model, sample
      >>> from mdmot.samplers import Ranked
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 2))
      >>> model = Model(denoiser, jnp.log(jnp.asarray([0.2, 0.8])), mask_id=2)
      >>> result = sample(jax.random.key(0), Ranked(Factor()), model, None, jnp.full((1, 9), 2))
      >>> result.network_calls.tolist()
      [3]

    References:
      Wu et al., arXiv:2505.22618 (Fast-dLLM).
    """

    factor: Knob = 1.0

    @property
    def reads_logarithms(self) -> bool:
        """It compares the score with the logarithm of a confidence."""
        return True

    def assert_values(self) -> None:
        """Raises InputError if the factor is known and not at least 0."""
        known = concrete(self.factor)
        if known is not None and not (known >= 0).all():
            raise InputError(f"factor {known} is not a number of at least 0; pass e.g. 1.0")

    def judge(self, ranking: Ranking, seen: PyTree, memory: PyTree) -> Judged:
        """The positions that the factor allows."""
        surest = in_order(ranking.scores, ranking.scores, ranking.is_masked)
        number = jnp.arange(1, surest.shape[1] + 1, dtype=jnp.float32)
        # The doubts 1 - c rise, with all digits where c is nearly 1: those that suffice are the first ones.
        suffices = (number + 1)[None] * -jnp.expm1(surest) <= jnp.asarray(self.factor, jnp.float32)
        return Judged(suffices.sum(axis=1, dtype=jnp.int32), ranking.order)


@configuration
class EntropyBound(Size):
    """The surest positions while a bound on their dependence error holds.

    Tokens drawn at once miss their dependence: the law of positions drawn each from its marginal is
    away from the joint one by the total correlation, which is at most the sum of their entropies less
    the largest one. A step reveals the longest run of the surest positions for which that is at most
    `bound`, and always the surest. At a bound of 0 this is one position, and whatever is certain; at
    infinity, all. The entropies are those of the distribution that the transforms of the choice leave,
    whether or not it draws from it, and they count whatever the score that orders the positions.

    Attributes:
      bound: In nats, at least 0.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mdmot import Model, sample
      >>> from mdmot.samplers import Categorical, NegativeEntropy, Ranked
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 2))
      >>> model, rule = Model(denoiser, jnp.zeros(2), 2), Ranked(EntropyBound(1.5), NegativeEntropy())
      >>> sample(jax.random.key(0), rule, model, None, jnp.full((1, 9), 2)).network_calls.tolist()
      [3]

    References:
      Ben-Hamu et al., arXiv:2505.24857 (EB-Sampler).
    """

    bound: Knob = 0.1

    def assert_values(self) -> None:
        """Raises InputError if the bound is known and not a number of at least 0."""
        known = concrete(self.bound)
        if known is not None and not (known >= 0).all():
            raise InputError(f"entropy bound {known} is not a number of at least 0; pass nats, e.g. 0.1")

    def look(self, logits: RowLogits, law: RowLogits) -> Float[Array, "batch width"]:
        """The entropy of each position."""
        del logits
        return entropy(law)

    def unseen(self, tokens: Tokens, memory: PyTree) -> Float[Array, "batch length"]:
        """No entropy."""
        del memory
        return jnp.zeros(tokens.shape, jnp.float32)

    def judge(self, ranking: Ranking, seen: Float[Array, "batch length"], memory: PyTree) -> Judged:
        """The positions that the bound allows."""
        error = _all_but_the_largest(in_order(seen, ranking.order, ranking.is_masked))
        is_allowed = error <= jnp.asarray(self.bound, jnp.float32)
        return Judged(is_allowed.sum(axis=1, dtype=jnp.int32), ranking.order)


def _all_but_the_largest(x: Float[Array, "batch length"]) -> Float[Array, "batch length"]:
    """Sums of the first entries less the largest of them: cumsum - cummax, without the subtraction.

    Each entry adds the smaller of itself and the largest before it, so that zeros add up to zero.
    """
    before = jnp.pad(lax.cummax(x, axis=1)[:, :-1], ((0, 0), (1, 0)))
    return jnp.cumsum(jnp.minimum(x, before), axis=1)
