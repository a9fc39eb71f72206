"""Discrete optimal transport for masked diffusion models, in JAX.

Time runs from t = 0 (all masked) to t = 1 (clean); alpha is the probability that a token is unmasked.
The names below are those of the quickstart; everything else lives in the submodules.
"""

from typing import TYPE_CHECKING, Any

from mdmot.energies import energy as energy
from mdmot.errors import InputError as InputError
from mdmot.samplers import BernoulliUnmasking as BernoulliUnmasking
from mdmot.samplers import FixedUnmasking as FixedUnmasking
from mdmot.samplers import sample as sample
from mdmot.schedules import interpolations as interpolations
from mdmot.schedules import masks as masks
from mdmot.schedules import step_grid as step_grid

if TYPE_CHECKING:
    from mdmot.law import bernoulli_law as bernoulli_law
    from mdmot.law import fixed_law as fixed_law
    from mdmot.law import sampler_law as sampler_law


def __getattr__(name: str) -> Any:
    """The exact laws bring every distribution with them: loaded when they are first asked for."""
    if name in ("bernoulli_law", "fixed_law", "sampler_law"):
        import mdmot.law

        return getattr(mdmot.law, name)
    raise AttributeError(f"module 'mdmot' has no attribute {name!r}")
