"""What each command does, as a function: typed arguments in, a typed value out, nothing printed.

Modules here load JAX when a function is called, not before: the command line reads their signatures.
"""

from mdmot.workflows.checking import Verification as Verification
from mdmot.workflows.checking import verify as verify
from mdmot.workflows.precision import Precision as Precision
from mdmot.workflows.precision import computing_in as computing_in
from mdmot.workflows.progress import Progress as Progress
from mdmot.workflows.progress import Show as Show
from mdmot.workflows.progress import Tell as Tell
from mdmot.workflows.training import Training as Training
from mdmot.workflows.training import train as train
from mdmot.workflows.training_settings import Settings as Settings

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
