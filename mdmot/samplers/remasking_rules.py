"""How often a step masks decoded tokens again, and the reveals that make up for it."""

from typing import NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float

from mdmot._types import Knob
from mdmot.arguments import concrete
from mdmot.errors import InputError
from mdmot.samplers.scores import MaxProbability
from mdmot.samplers.steps import StepInput

IsDecoded = Bool[Array, "batch length"]
Recorded = Float[Array, "batch length"] | None


class Flips(NamedTuple):
    """The probabilities of one step.

    Attributes:
      remask: P(a decoded position is masked again), for all positions alike or for each.
      reveal: P(a masked position is revealed).
    """

    remask: Float[Array, ""] | Float[Array, "batch length"]
    reveal: Float[Array, ""]


@runtime_checkable
class RemaskRule(Protocol):
    """How often a step remasks: a NamedTuple of traced values that may be swept.

    A rule with an attribute `score`, a `ScoreRule`, is handed that score of each decoded token, as it
    was when the token was decoded.
    """

    def __call__(self, step: StepInput, is_decoded: IsDecoded, recorded: Recorded) -> Flips:
        """The probabilities; in the last step, which reveals with probability 1, none of remasking."""


class Cap(NamedTuple):
    """Remasks each decoded token with probability eta, or as often as the schedule allows.

    Attributes:
      eta: In [0, 1]; 0 never remasks.

    References:
      Wang et al., arXiv:2503.00307 (ReMDM-cap).
    """

    eta: Knob = 0.008

    def __call__(self, step: StepInput, is_decoded: IsDecoded, recorded: Recorded) -> Flips:
        """The probabilities."""
        del is_decoded, recorded
        return balanced(step, jnp.asarray(self.eta, jnp.float32))

    def assert_values(self) -> None:
        """Raises InputError if eta is known and outside [0, 1]."""
        _assert_eta(self.eta)


class Rescale(NamedTuple):
    """Remasks each decoded token with eta times the largest probability that the schedule allows.

    Attributes:
      eta: In [0, 1]; 0 never remasks.

    References:
      Wang et al., arXiv:2503.00307 (ReMDM-rescale).
    """

    eta: Knob = 0.015

    def __call__(self, step: StepInput, is_decoded: IsDecoded, recorded: Recorded) -> Flips:
        """The probabilities."""
        del is_decoded, recorded
        return balanced(step, jnp.asarray(self.eta, jnp.float32) * largest_remask(step))

    def assert_values(self) -> None:
        """Raises InputError if eta is known and outside [0, 1]."""
        _assert_eta(self.eta)


class Loop(NamedTuple):
    """Remasks only where the grid stands still: there tokens are drawn anew, eta of them a step.

    Where alpha rises it does not remask. `loop_grid` makes a grid that stands still on its way.

    Attributes:
      eta: In [0, 1]; 0 never remasks.

    References:
      Wang et al., arXiv:2503.00307 (ReMDM-loop).
    """

    eta: Knob = 0.02

    def __call__(self, step: StepInput, is_decoded: IsDecoded, recorded: Recorded) -> Flips:
        """The probabilities."""
        del is_decoded, recorded
        stands = step.alpha_next.astype(jnp.float32) == step.alpha.astype(jnp.float32)
        return balanced(step, jnp.where(stands, jnp.asarray(self.eta, jnp.float32), 0.0))

    def assert_values(self) -> None:
        """Raises InputError if eta is known and outside [0, 1]."""
        _assert_eta(self.eta)


class ForwardBackward(NamedTuple):
    """Remasks in each step as many tokens as the schedule adds: one forward step, two backward ones.

    Where the schedule leaves too few masks for that, as in the last step, it remasks as often as the
    schedule allows.

    References:
      Campbell et al., arXiv:2205.14987; Wang et al., arXiv:2503.00307.
    """

    def __call__(self, step: StepInput, is_decoded: IsDecoded, recorded: Recorded) -> Flips:
        """The probabilities."""
        del is_decoded, recorded
        return balanced(step, _rise(step))


class DFMCorrector(NamedTuple):
    """Remasks b times as many tokens as the schedule adds, with b = scale (alpha (1 - alpha))^power.

    A masked position is revealed 1 + b times as often as without remasking. On the grid of `dfm_grid`
    no probability exceeds 1; on others it remasks at most as often as the schedule allows.

    Attributes:
      scale: At least 0; 0 never remasks.
      power: At least 0.

    References:
      Gat et al., arXiv:2407.15595, App. D; Wang et al., arXiv:2503.00307.
    """

    scale: Knob = 10.0
    power: Knob = 0.25

    def __call__(self, step: StepInput, is_decoded: IsDecoded, recorded: Recorded) -> Flips:
        """The probabilities."""
        del is_decoded, recorded
        alpha = step.alpha.astype(jnp.float32)
        scale, power = jnp.asarray(self.scale, jnp.float32), jnp.asarray(self.power, jnp.float32)
        return balanced(step, scale * (alpha * (1 - alpha)) ** power * _rise(step))

    def assert_values(self) -> None:
        """Raises InputError if scale or power are known and not finite and at least 0."""
        for name, knob in zip(self._fields, self, strict=True):
            known = concrete(knob)
            if known is not None and not (np.isfinite(known) & (known >= 0)).all():
                raise InputError(f"{name} {known} is not a finite number of at least 0; pass e.g. 0.25")


class ByConfidence(NamedTuple):
    """Remasks about one token of a row a step, rather one of which the network was less sure.

    The largest probability that the schedule allows is shared out among the decoded tokens as the
    softmax of -p, with p the probability that each had when it was decoded. No reveals make up for it,
    in the published rule as here: a row of n positions lags behind the schedule, on a linear one of K
    steps by up to 0.36 K/n of its length, and the last step reveals the rest.

    Attributes:
      eta: Factor of the probability of remasking, in [0, 1]; the published rule is 1.
      score: log p of a decoded token; give it the transforms of the choice to judge by what is drawn from.

    References:
      Wang et al., arXiv:2503.00307 (ReMDM-conf).
    """

    eta: Knob = 1.0
    score: MaxProbability = MaxProbability()

    def __call__(self, step: StepInput, is_decoded: IsDecoded, recorded: Recorded) -> Flips:
        """The probabilities."""
        assert recorded is not None
        weight = jnp.where(is_decoded, jnp.exp(-jnp.exp(recorded)), 0.0)
        total = weight.sum(axis=1, keepdims=True)
        share = weight / jnp.where(total > 0, total, 1.0)
        eta = jnp.asarray(self.eta, jnp.float32)
        return Flips(eta * largest_remask(step) * share, step.reveal.astype(jnp.float32))

    def assert_values(self) -> None:
        """Raises InputError if eta is known and outside [0, 1]."""
        _assert_eta(self.eta)


def largest_remask(step: StepInput) -> Float[Array, ""]:
    """min(1, (1 - alpha_next)/alpha): more could not be made up for; 1 where nothing is unmasked."""
    # 1 - alpha_next = (1 - reveal)(1 - alpha) keeps its digits where alpha is near 1.
    return jnp.minimum(_for_each_unmasked(step, 1 - step.reveal.astype(jnp.float32)), 1.0)


def balanced(step: StepInput, remask: Float[Array, ""]) -> Flips:
    """As many more reveals as remasked tokens, so that P(unmasked) still goes from alpha to alpha_next.

    Args:
      step: The step.
      remask: P(a decoded position is masked again), cut to what the schedule allows.

    Returns:
      The probabilities. Where 1 - alpha is 0 in float32 nothing is remasked.
    """
    alpha, reveal = step.alpha.astype(jnp.float32), step.reveal.astype(jnp.float32)
    remask = jnp.minimum(remask, largest_remask(step))
    is_masked = alpha < 1
    extra = jnp.where(is_masked, remask * alpha / jnp.where(is_masked, 1 - alpha, 1.0), 0.0)
    return Flips(remask, jnp.minimum(reveal + extra, 1.0))


def _rise(step: StepInput) -> Float[Array, ""]:
    """(alpha_next - alpha)/alpha; 1 where nothing is unmasked."""
    return _for_each_unmasked(step, step.reveal.astype(jnp.float32))


def _for_each_unmasked(step: StepInput, share: Float[Array, ""]) -> Float[Array, ""]:
    """Expected number of a share of the masked positions, for each unmasked one; 1 if there is none."""
    alpha = step.alpha.astype(jnp.float32)
    return jnp.where(alpha > 0, share * (1 - alpha) / jnp.where(alpha > 0, alpha, 1.0), 1.0)


def _assert_eta(eta: Knob) -> None:
    known = concrete(eta)
    if known is not None and not ((known >= 0) & (known <= 1)).all():
        raise InputError(f"eta {known} is outside [0, 1]; pass a probability, e.g. 0.02")
