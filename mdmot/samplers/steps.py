"""What a step is told and reports, and what a run returns."""

from typing import NamedTuple

from jax import Array
from jaxtyping import Bool, Float, Int

from mdmot._types import Tokens


class StepInput(NamedTuple):
    """What one step is told of the grid.

    Attributes:
      alpha: P(unmasked) before the step.
      alpha_next: P(unmasked) after the step.
      reveal: P(a masked position is revealed in the step) = (alpha_next - alpha)/(1 - alpha), stable.
      number: Number of the step, from 0.
      num_steps: Number of steps K.
    """

    alpha: Float[Array, ""]
    alpha_next: Float[Array, ""]
    reveal: Float[Array, ""]
    number: Int[Array, ""]
    num_steps: Int[Array, ""]


class StepInfo(NamedTuple):
    """What one step reports; the next step does not need it.

    Attributes:
      network_calls: Network calls that the row needed in the step.
      finite: Whether every distribution that the row looked at was one: no logit nan or +inf, and not
        all of them -inf. A logit of -inf is an impossible token.
      log_prob: log q of the tokens that the row's revealed positions became, given what was known before;
        None in a run that draws them.
    """

    network_calls: Int[Array, " batch"]
    finite: Bool[Array, " batch"]
    log_prob: Float[Array, " batch"] | None = None


class SampleResult(NamedTuple):
    """What a run of a rule returns; `raise_if_failed` turns a bad row into an exception.

    Attributes:
      tokens: The sampled sequences.
      network_calls: Network calls that each row needed.
      finite: Whether each row drew from proper distributions only; a row that did not is garbage.
    """

    tokens: Tokens
    network_calls: Int[Array, " batch"]
    finite: Bool[Array, " batch"]


class Likelihood(NamedTuple):
    """How likely a rule is to draw given sequences.

    Attributes:
      log_prob: log q(x | u) of each row in nats, u being the randomness drawn apart from the tokens;
        -inf if the rule never draws the row.
      network_calls: Network calls that each row needed: those of a sample that comes out so.
      finite: Whether each row's tokens came from proper distributions only; a row that did not is garbage.
    """

    log_prob: Float[Array, " batch"]
    network_calls: Int[Array, " batch"]
    finite: Bool[Array, " batch"]
