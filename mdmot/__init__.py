"""Discrete optimal transport for masked diffusion models, in JAX.

Time runs from t = 0 (all masked) to t = 1 (clean); alpha is the probability that a token is unmasked.
The names below are those of the quickstart; everything else lives in the submodules. Each is loaded when
it is first asked for: the command line has to say what Ctrl-C does before anything that takes long.
"""

TYPE_CHECKING = (
    False  # as type checkers know it; the module `typing` itself would take longer than all else
)

if TYPE_CHECKING:
    from typing import Any

    from mdmot.energies import energy as energy
    from mdmot.errors import InputError as InputError
    from mdmot.exact_law import bernoulli_law as bernoulli_law
    from mdmot.exact_law import fixed_law as fixed_law
    from mdmot.exact_law import sampler_law as sampler_law
    from mdmot.model import Model as Model
    from mdmot.pages import report as report
    from mdmot.samplers import BernoulliUnmasking as BernoulliUnmasking
    from mdmot.samplers import FixedUnmasking as FixedUnmasking
    from mdmot.samplers import log_likelihood as log_likelihood
    from mdmot.samplers import sample as sample
    from mdmot.schedules import interpolations as interpolations
    from mdmot.schedules import masks as masks
    from mdmot.schedules import step_grid as step_grid
    from mdmot.workflows import audit as audit
    from mdmot.workflows import compare as compare
    from mdmot.workflows import evaluate as evaluate
    from mdmot.workflows import evaluate_editor as evaluate_editor
    from mdmot.workflows import evaluate_inserter as evaluate_inserter
    from mdmot.workflows import law as law
    from mdmot.workflows import learn_order as learn_order
    from mdmot.workflows import load as load
    from mdmot.workflows import order_tables as order_tables
    from mdmot.workflows import profile as profile
    from mdmot.workflows import train as train
    from mdmot.workflows import train_editor as train_editor
    from mdmot.workflows import train_inserter as train_inserter
    from mdmot.workflows import tune as tune
    from mdmot.workflows import verify as verify

_HOMES = {
    "BernoulliUnmasking": "samplers",
    "FixedUnmasking": "samplers",
    "InputError": "errors",
    "audit": "workflows",
    "bernoulli_law": "exact_law",
    "Model": "model",
    "compare": "workflows",
    "energy": "energies",
    "evaluate": "workflows",
    "evaluate_editor": "workflows",
    "evaluate_inserter": "workflows",
    "fixed_law": "exact_law",
    "interpolations": "schedules",
    "law": "workflows",
    "learn_order": "workflows",
    "load": "workflows",
    "log_likelihood": "samplers",
    "masks": "schedules",
    "order_tables": "workflows",
    "profile": "workflows",
    "report": "pages",
    "sample": "samplers",
    "sampler_law": "exact_law",
    "step_grid": "schedules",
    "train": "workflows",
    "train_editor": "workflows",
    "train_inserter": "workflows",
    "tune": "workflows",
    "verify": "workflows",
}
"""The submodule of each name."""

__all__ = tuple(_HOMES)


def __getattr__(name: str) -> "Any":
    """A name of the quickstart, or a submodule that has not been imported yet."""
    import importlib

    if name in _HOMES:
        found = getattr(importlib.import_module(f"mdmot.{_HOMES[name]}"), name)
        globals()[name] = found
        return found
    if not name.startswith("_"):
        try:
            return importlib.import_module(f"mdmot.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"mdmot.{name}":
                raise
    raise AttributeError(f"module 'mdmot' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__} - {"TYPE_CHECKING"})
