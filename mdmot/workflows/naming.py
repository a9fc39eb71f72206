"""`mdmot.load`: a model or a law by its name."""

import dataclasses
import os
import pathlib
from typing import TYPE_CHECKING, TypeAlias

from mdmot.errors import InputError, meant
from mdmot.names import BEDS, MASKED, assert_bed, is_bed
from mdmot.workflows.precision import Precision
from mdmot.workflows.training_settings import Dtype
from mdmot.workflows.weights import asked_dtype, refuse_dtype

if TYPE_CHECKING:
    from mdmot.models import Loaded, Named

Name: TypeAlias = str | os.PathLike[str] | None
"""Folder of a model, law file or test bed; None for the model that comes with mdmot."""

BUNDLED = "the bundled model"
FINE_TUNED = "model"
"""Where the folder of a training has the pretrained network that it trains."""


def load(name: Name = None, dtype: Dtype | None = None) -> "Loaded":
    """What a name stands for, ready to be sampled.

    A law is computed in JAX's current precision.

    Args:
      name: Folder of a model that mdmot saved or of a pretrained one (BERT, ESM-2, LLaDA and others in
        Hugging Face's layout), law file, or test bed, as markov:stay=.9,length=8; None for the model
        that comes with mdmot.
      dtype: Number type of the weights of a network, which it computes in too, at half the memory in
        bfloat16; None for what `weights_in` says, or else what a model of mdmot was saved in, and float32
        for a pretrained one.

    Returns:
      The model, with its vocabulary and where it comes from: a masked one or a law, one that edits, or one
      that inserts.

    Raises:
      InputError: If it is none of these.

    Example:
      >>> named = load("markov:states=2,length=8")
      >>> named
      Named('markov:states=2,length=8': a law, sequences of 8 tokens, 2 kinds of them)
      >>> named.vocabulary.decode([0, 1, 2], "?")
      'ab?'
    """
    dtype = dtype or asked_dtype()
    if name is None:
        from mdmot.models import bundled_model, load_checkpoint

        return dataclasses.replace(load_checkpoint(bundled_model(), dtype), name=BUNDLED)
    assert_there(name)
    path = pathlib.Path(name)
    if path.is_dir():
        return _folder(path, dtype)
    refuse_dtype(dtype, f"the law {path}")
    return _law(path)


def load_masked(name: Name, work: str) -> "Named":
    """What a name stands for, if it is a masked model or a law.

    Args:
      name: As `load` takes it.
      work: What is to be done, as "tune takes masked models".

    Raises:
      InputError: If it is nothing, or a model of another kind.
    """
    from mdmot.models import Named, as_kind

    return as_kind(load(name), Named, work)


def process_named(name: Name) -> str:
    """The process that a name has a model of, one of `mdmot.names.PROCESSES`; weights are not read.

    Args:
      name: As `load` takes it.

    Raises:
      InputError: If it is the folder of a model that cannot be read.

    Example:
      >>> process_named(None), process_named("markov:states=2,length=8")
      ('masking', 'masking')
    """
    from mdmot.models import process_of
    from mdmot.models.model_folder import MODEL_FILE

    if name is None or not (pathlib.Path(name) / MODEL_FILE).exists():
        return MASKED
    return process_of(name)


MODEL_OR_LAW = "the folder of a model, a law file or a test bed"


def assert_there(name: Name, expected: str = MODEL_OR_LAW) -> None:
    """Raises InputError for a name that nothing has, as far as the file system and the test beds tell.

    Args:
      name: As `load` takes it.
      expected: What it may be, in words.
    """
    if name is None or pathlib.Path(name).exists():
        return
    text, path = str(name), pathlib.Path(name)
    assert_bed(text)
    if not is_bed(text):
        beside = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
        near = meant(path.name, sorted({*beside, *BEDS}))
        raise InputError(f"{name}: no such file or folder{near}; expected {expected} ({', '.join(BEDS)})")


def load_to_read(name: Name, work: str, *, chat: bool) -> "Named":
    """The masked model or law of a name; as chats are shown to it, if that is asked for.

    Args:
      name: As `load` takes it.
      work: What is to be done, as "compare takes masked models".
      chat: Whether prompts are questions.

    Raises:
      InputError: If it is nothing, a model of another kind, or has no chat template.
    """
    named = load_masked(name, work)
    if not chat:
        return named
    if named.law is not None:
        raise InputError(f"--chat is not read for {named.name}, which is a law; leave it out")
    from mdmot.workflows.answers import for_chat

    return for_chat(named)


def called(name: Name) -> str:
    """What a person calls it."""
    return BUNDLED if name is None else str(name)


def is_law(name: Name) -> bool:
    """Whether a name can only be that of a law."""
    return name is not None and not pathlib.Path(name).is_dir()


def precision_of(name: Name) -> Precision:
    """What it is computed in: networks as they were trained, laws, which are exact, as well as it goes."""
    return "float64" if is_law(name) else "float32"


def _folder(path: pathlib.Path, dtype: Dtype | None) -> "Loaded":
    from mdmot.models import read_model
    from mdmot.models.model_folder import MODEL_FILE
    from mdmot.models.pretrained import FAMILIES, load_plain
    from mdmot.models.pretrained.settings import CONFIG_FILE, read_json

    # The folder of a training has a config.json too.
    if (path / MODEL_FILE).exists():
        return read_model(path, dtype)
    if not (path / CONFIG_FILE).exists():
        raise InputError(
            f"{path} is no model: it has neither {MODEL_FILE}, as mdmot saves it, nor the {CONFIG_FILE} of "
            f"a Hugging Face model ({', '.join(FAMILIES)}); pass the folder of one"
        )
    config = read_json(path / CONFIG_FILE, "copy the file again")
    if config.get("kind") == "training":
        if (path / FINE_TUNED / CONFIG_FILE).exists():
            # What its training held out is known to the run alone.
            found = load_plain(path / FINE_TUNED, dtype or "float32")
            about = {"command": "mdmot train", "data": config.get("data")}
            return dataclasses.replace(found, name=str(path), provenance=about)
        raise InputError(
            f"{path} is a training that has not saved a {MODEL_FILE} yet; train to its first checkpoint"
        )
    return load_plain(path, dtype or "float32")


def _law(path: pathlib.Path) -> "Named":
    import jax

    from mdmot.distributions import Tabular, read_law
    from mdmot.models import Named
    from mdmot.vocabulary import Symbols

    law = read_law(path)
    if isinstance(law.params, Tabular):
        widest = len(law.params.sequences)
    else:
        # Messages along a chain carry a matrix of its states to every position.
        widest = max((leaf.size for leaf in jax.tree.leaves(law.params) if leaf.ndim == 2), default=1)
    return Named(
        str(path), law.model(), Symbols(law.symbols), law.length, max(widest, law.vocab_size), law=law
    )
