"""What each command does, as a function: typed arguments in, a typed value out, nothing printed.

Modules here load JAX when a function is called, not before: the command line reads their signatures.
"""

from mdmot.workflows.checking import Verification, verify
from mdmot.workflows.precision import Precision, computing_in
from mdmot.workflows.progress import Progress, Show, Tell
from mdmot.workflows.training import Training, train
from mdmot.workflows.training_settings import Settings

__all__ = [
    "Precision",
    "Progress",
    "Settings",
    "Show",
    "Tell",
    "Training",
    "Verification",
    "computing_in",
    "train",
    "verify",
]
