"""What each command does, as a function: typed arguments in, a typed value out, nothing printed.

Modules here load JAX when a function is called, not before: the command line reads their signatures.
"""

from mdmot.workflows.agreed import Agreements
from mdmot.workflows.audited import Audit
from mdmot.workflows.auditing import audit
from mdmot.workflows.checking import Verification, verify
from mdmot.workflows.compared import Comparison
from mdmot.workflows.comparing import compare
from mdmot.workflows.editor_evaluation import EditorEvaluation, evaluate_editor
from mdmot.workflows.evaluated import Evaluation
from mdmot.workflows.evaluation import evaluate
from mdmot.workflows.inserter_evaluation import InserterEvaluation, evaluate_inserter
from mdmot.workflows.laws import ExactLaw, law
from mdmot.workflows.naming import load
from mdmot.workflows.order_learning import OrderLearned, learn_order
from mdmot.workflows.order_tuning import OrderTuned
from mdmot.workflows.ordering import order_tables
from mdmot.workflows.precision import Precision, computing_in
from mdmot.workflows.profiling import profile
from mdmot.workflows.progress import Progress, Show, Tell
from mdmot.workflows.training import Training, train
from mdmot.workflows.training_editor import EditorTraining, train_editor
from mdmot.workflows.training_inserter import InserterTraining, train_inserter
from mdmot.workflows.training_settings import EditorSettings, InserterSettings, Settings
from mdmot.workflows.tuned import Tuned
from mdmot.workflows.tuning import tune

__all__ = [
    "Agreements",
    "Audit",
    "Comparison",
    "EditorEvaluation",
    "EditorSettings",
    "EditorTraining",
    "Evaluation",
    "ExactLaw",
    "InserterEvaluation",
    "InserterSettings",
    "InserterTraining",
    "OrderLearned",
    "OrderTuned",
    "Precision",
    "Progress",
    "Settings",
    "Show",
    "Tell",
    "Training",
    "Tuned",
    "Verification",
    "audit",
    "compare",
    "computing_in",
    "evaluate",
    "evaluate_editor",
    "evaluate_inserter",
    "law",
    "learn_order",
    "load",
    "order_tables",
    "profile",
    "train",
    "train_editor",
    "train_inserter",
    "tune",
    "verify",
]
