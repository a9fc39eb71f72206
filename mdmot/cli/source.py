"""What the argument MODEL names: a network, of ours or pretrained, or a law known exactly."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mdmot.cli.options import use_precision
from mdmot.errors import InputError
from mdmot.vocabulary import Symbols, Vocabulary

if TYPE_CHECKING:
    from mdmot._types import Denoiser, Params, TimedDenoiser
    from mdmot.distributions import Law

BUNDLED = "the bundled model"

ENTRIES = 2**25
"""Numbers that the sequences of a batch may need in memory at once, about."""


@dataclasses.dataclass(frozen=True)
class Source:
    """Where sequences come from.

    Attributes:
      name: What the user called it.
      denoiser: `denoiser(params, tokens)`.
      timed_denoiser: `timed_denoiser(params, tokens, t)`.
      params: The weights, or the law itself.
      vocabulary: What its tokens stand for.
      length: Tokens of its sequences.
      bed: The law, if it is one; its sequences have that length and no other, a network's may be shorter.
      entries: Numbers that a sequence of that length needs in memory at once, about.
      never: Clean tokens that have probability 0 everywhere.
      weights_sha256: Digest of the weights, where the model's files say it.
      data: What the model's files say of the data of its training.
    """

    name: str
    denoiser: "Denoiser"
    timed_denoiser: "TimedDenoiser"
    params: "Params"
    vocabulary: Vocabulary
    length: int
    bed: "Law | None"
    entries: int
    never: tuple[int, ...] = ()
    weights_sha256: str | None = None
    data: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def assert_length(self, length: int, where: str) -> None:
        """Raises InputError if it has no sequences of this length."""
        if self.bed is not None and length != self.length:
            raise InputError(f"{where}: {length} tokens; the sequences of the law have {self.length}")
        if not 1 <= length <= self.length:
            raise InputError(f"{where}: {length} tokens; the network is made for 1 to {self.length}")

    def log_prob(self, rows: np.ndarray) -> np.ndarray:
        """log p of clean sequences under a law, in nats; -inf where they are illegal."""
        import jax.numpy as jnp

        assert self.bed is not None
        at_once = max(1, ENTRIES // self.entries)
        parts = [
            self.bed.log_prob(jnp.asarray(rows[first : first + at_once]))
            for first in range(0, len(rows), at_once)
        ]
        return np.concatenate([np.asarray(part, np.float64) for part in parts])

    def assert_possible(self, row: Sequence[int], where: str) -> None:
        """Raises InputError if given tokens (others are masks) have probability 0 under a law."""
        mask_id = self.vocabulary.size
        given = [position for position, token in enumerate(row) if token != mask_id]
        if self.bed is None or not given:
            return
        from mdmot.information import jax_scorer

        scorer = jax_scorer(self.denoiser, self.params, mask_id)
        clean = np.where(np.equal(row, mask_id), 0, row)[None]
        tokens = np.full_like(clean, mask_id)
        # By the chain rule: each given token is possible after the others, or the whole is not.
        for position in given:
            if np.isposinf(scorer(tokens, clean)[0, position]):
                raise InputError(
                    f"{where}: no sequence of the law has these tokens; give others, or more masks"
                )
            tokens[0, position] = row[position]


def read_source(path: pathlib.Path | None) -> Source:
    """Reads a network, for float32, or a law, for float64; sets that precision.

    Args:
      path: Folder of a model that mdmot saved or of a pretrained one, law file or test bed; None for the
        model that comes with mdmot.

    Raises:
      InputError: If it is none of these.
    """
    if path is None:
        from mdmot.models import bundled_model

        return _network(bundled_model(), BUNDLED)
    return _folder(path) if path.is_dir() else _law(path)


def _folder(path: pathlib.Path) -> Source:
    from mdmot.models.checkpoint import MODEL_FILE
    from mdmot.models.pretrained import FAMILIES
    from mdmot.models.pretrained.settings import CONFIG_FILE, read_json

    # The folder of a training has a config.json too.
    if (path / MODEL_FILE).exists():
        return _network(path, str(path))
    if not (path / CONFIG_FILE).exists():
        raise InputError(
            f"{path} is no model: it has neither {MODEL_FILE}, as mdmot saves it, nor the {CONFIG_FILE} of "
            f"a Hugging Face model ({', '.join(FAMILIES)}); pass the folder of one"
        )
    if read_json(path / CONFIG_FILE, "copy the file again").get("kind") == "training":
        raise InputError(
            f"{path} is a training that has not saved a {MODEL_FILE} yet; train to its first checkpoint"
        )
    return _pretrained(path)


def _network(path: pathlib.Path, name: str) -> Source:
    use_precision("float32")
    from mdmot.models import load_checkpoint
    from mdmot.models.checkpoint import MODEL_FILE

    found = load_checkpoint(path)
    size = found.config
    data = found.provenance.get("data")
    widest = max(size.vocab_size, size.expansion * size.width, size.heads * size.length)
    return Source(
        name,
        found.denoiser,
        found.timed_denoiser,
        found.params,
        found.vocabulary,
        size.length,
        bed=None,
        entries=size.length * widest,
        weights_sha256=json.loads((path / MODEL_FILE).read_text(encoding="utf-8"))["weights_sha256"],
        data=data if isinstance(data, dict) else {},
    )


def _pretrained(path: pathlib.Path) -> Source:
    use_precision("float32")
    from mdmot.models.pretrained import load_plain
    from mdmot.samplers import TimeFree

    model = load_plain(path)
    size = model.found.config
    widest = max(size.vocab_size, size.hidden, size.heads * size.length)
    return Source(
        str(path),
        model.denoiser,
        TimeFree(model.denoiser),
        model.found.params,
        model.vocabulary,
        model.length,
        bed=None,
        entries=size.length * widest,
        never=model.denoiser.never,
    )


def _law(path: pathlib.Path) -> Source:
    use_precision("float64")
    import jax

    from mdmot.distributions import Tabular, read_law
    from mdmot.samplers import TimeFree

    bed = read_law(path)
    if isinstance(bed.params, Tabular):
        widest = len(bed.params.sequences)
    else:
        # Messages along a chain carry a matrix of its states to every position.
        widest = max((leaf.size for leaf in jax.tree.leaves(bed.params) if leaf.ndim == 2), default=1)
    return Source(
        str(path),
        bed.denoiser,
        TimeFree(bed.denoiser),
        bed.params,
        Symbols(bed.symbols),
        bed.length,
        bed=bed,
        entries=bed.length * max(widest, bed.vocab_size),
    )
