"""A network that edits, by the name that a user gave it, ready to write."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from mdmot.editing import EditModel
from mdmot.models.editing_transformer import EditingConfig
from mdmot.models.trained_data import data_in
from mdmot.names import EDITING
from mdmot.vocabulary import Vocabulary


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class NamedEditor:
    """A network that edits and what its tokens mean.

    Attributes:
      name: What the user called it.
      model: The network with its weights, its mask and its padding.
      vocabulary: What its clean tokens stand for; the mask is the token after them, padding the next.
      config: The size of the network.
      provenance: Where the network comes from, as it was saved.
      weights_sha256: Digest of its weights, where its files say it.
    """

    process: ClassVar[str] = EDITING
    """What it is a model of, a name of `mdmot.names.PROCESSES`."""

    functions: ClassVar[str] = "mdmot.editing.write and mdmot.evaluate_editor"
    """What samples and evaluates it in Python, in a sentence."""

    name: str
    model: EditModel
    vocabulary: Vocabulary
    config: EditingConfig
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    weights_sha256: str | None = None

    def __repr__(self) -> str:
        return f"NamedEditor({self.name!r}: {self.about}, {self.vocabulary.size} kinds of tokens)"

    @property
    def task(self) -> str | None:
        """The task that it says it was trained on."""
        language = data_in(self.provenance).get("language")
        return language if isinstance(language, str) else None

    @property
    def about(self) -> str:
        """What it does, behind its name in a sentence."""
        return "edits its rows" + ("" if self.task is None else f" (trained on {self.task})")
