"""What a user names: a network, of ours or pretrained, or a law known exactly, ready to be sampled."""

import dataclasses
import functools
import pathlib
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Float, Int

from mdmot.arguments import is_whole
from mdmot.errors import InputError, InputWarning
from mdmot.model import Model
from mdmot.models.trained_data import WantedRecords, data_in, held_out_in, records_in
from mdmot.names import MASKED
from mdmot.vocabulary import Chat, Ended, Vocabulary

if TYPE_CHECKING:
    from mdmot.distributions import Law

ENTRIES = 2**25
"""Numbers that the sequences of a batch may need in memory at once, about."""


def fitting(most: int, entries: int) -> int:
    """Rows of a network call: as many as fit into memory, `most` at most, one at least.

    Args:
      most: Rows at most.
      entries: Numbers that a row needs at once, about.
    """
    return max(1, min(most, ENTRIES // entries))


WITHOUT_TEXT = "without a text"
"""Why a token is never drawn that the vocabulary has no text for."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Named:
    """A model and what its tokens mean; of networks and of laws alike.

    Attributes:
      name: What the user called it.
      model: The network or the exact conditionals, with its weights and its mask.
      vocabulary: What its clean tokens stand for; the mask is the token after them.
      length: Tokens of its sequences, or of the longest that a network was trained on.
      widest: Numbers that a token of a sequence needs in memory at once, about.
      law: The law, if it is one; its sequences have that length and no other, a network's may be shorter.
      config: The size of the network; None of a law.
      never: Clean tokens that have probability 0 everywhere.
      why_never: Why, in a few words, of each of these.
      provenance: Where the network comes from, as it was saved.
      weights_sha256: Digest of its weights, where its files say it.
      stretches: Whether it takes longer sequences than it was trained on.
      chat: Its chat template, if it has one.
      ends: The tokens that end its texts, as its files have them.
    """

    process: ClassVar[str] = MASKED
    """What it is a model of, a name of `mdmot.names.PROCESSES`."""

    functions: ClassVar[str] = "mdmot.sample and mdmot.evaluate"
    """What samples and evaluates it in Python, in a sentence."""

    name: str
    model: Model
    vocabulary: Vocabulary
    length: int
    widest: int
    law: "Law | None" = None
    config: Any = None
    never: tuple[int, ...] = ()
    why_never: Mapping[int, str] = dataclasses.field(default_factory=dict)
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    weights_sha256: str | None = None
    stretches: bool = False
    chat: Chat | None = None
    ends: tuple[int, ...] = ()

    def __repr__(self) -> str:
        kind = "a network" if self.law is None else "a law"
        return (
            f"Named({self.name!r}: {kind}, sequences of {self.length} tokens, "
            f"{self.vocabulary.size} kinds of them)"
        )

    @property
    def about(self) -> str:
        """What it does, behind its name in a sentence."""
        return "reveals masked tokens"

    @property
    def trained_on(self) -> tuple[pathlib.Path | None, str | None]:
        """The text or the language that it says it was trained on; a text of None is Python's library."""
        text, language = self._data.get("text"), self._data.get("language")
        return (
            pathlib.Path(text) if isinstance(text, str) else None,
            language if isinstance(language, str) else None,
        )

    @property
    def trained_on_records(self) -> WantedRecords | None:
        """The records that it says it was trained on."""
        return records_in(self.provenance)

    @property
    def is_of_mdmot(self) -> bool:
        """Whether mdmot has saved it, so that its training may have held something out."""
        return bool(self.provenance)

    def is_of_records(self, given: object) -> bool:
        """Whether it is measured on records: those that are given, or else those of its training."""
        return given is not None or self.trained_on_records is not None

    @property
    def end(self) -> int | None:
        """The token that ends a text and fills its row up; None of models without one."""
        return self.vocabulary.end if isinstance(self.vocabulary, Ended) else None

    @property
    def room(self) -> int:
        """Positions behind a prompt that are drawn; those after them have the end."""
        room = self._data.get("room")
        return room if is_whole(room, 1) and room <= self.length else self.length

    @property
    def held_out(self) -> Mapping[str, Any]:
        """What it says of the data that its training held out, as their digest; empty for nothing."""
        return held_out_in(self.provenance)

    @property
    def _data(self) -> Mapping[str, Any]:
        return data_in(self.provenance)

    @property
    def entries(self) -> int:
        """Numbers that a sequence needs in memory at once, about."""
        return self.length * self.widest

    def rows_at_once(self, most: int) -> int:
        """Sequences of a network call: as many as fit into memory, `most` at most, one at least."""
        return fitting(most, self.entries)

    def assert_length(self, length: int, where: str) -> None:
        """Raises InputError if it has no sequences of this length; says once if its training had none."""
        if self.law is not None and length != self.length:
            raise InputError(
                f"{where}: {length} tokens; the sequences of the law have {self.length}: make it as many"
            )
        if self.stretches and length > self.length:
            _tell_longer(self.name, self.length)
        elif not 1 <= length <= self.length:
            raise InputError(
                f"{where}: {length} tokens; the network is made for 1 to {self.length}: make it so many"
            )

    def assert_possible(self, row: Sequence[int], where: str) -> None:
        """Raises InputError if given tokens (others are masks) have probability 0 under a law."""
        mask_id = self.model.mask_id
        given = [position for position, token in enumerate(row) if token != mask_id]
        if self.law is None or not given:
            return
        from mdmot.information import jax_scorer

        scorer = jax_scorer(self.model)
        clean = np.where(np.equal(row, mask_id), 0, row)[None]
        tokens = np.full_like(clean, mask_id)
        # By the chain rule: each given token is possible after the others, or the whole is not.
        for position in given:
            if np.isposinf(scorer(tokens, clean)[0, position]):
                raise InputError(
                    f"{where}: no sequence of the law has these tokens; give others, or more masks"
                )
            tokens[0, position] = row[position]

    def log_prob(self, rows: Int[np.ndarray, "num length"]) -> Float[np.ndarray, " num"]:
        """log p of clean sequences under a law, in nats; -inf where they are illegal."""
        import jax.numpy as jnp

        law, part = _known(self.law), self.rows_at_once(max(1, len(rows)))
        parts = [
            law.log_prob(jnp.asarray(rows[first : first + part])) for first in range(0, len(rows), part)
        ]
        return np.concatenate([np.asarray(part, np.float64) for part in parts])

    def drawn(self, seed: int, num: int) -> Int[np.ndarray, "num length"]:
        """Sequences of a law, in equal parts that fit into memory."""
        import jax

        law, part = _known(self.law), self.rows_at_once(num)
        keys = jax.random.split(jax.random.key(seed), -(-num // part))
        return np.concatenate([np.asarray(law.sample(key, part)) for key in keys])[:num]


def _known(law: "Law | None") -> "Law":
    if law is None:
        raise InputError("a network has no probabilities of sequences; name a law")
    return law


@functools.lru_cache
def _tell_longer(name: str, length: int) -> None:
    """Says once of a network that it has not seen such sequences."""
    warnings.warn(
        f"{name} was trained on sequences of at most {length} tokens; its positions are rotary, so that "
        "longer ones are possible, but what it says of them is less sure",
        InputWarning,
        stacklevel=4,
    )
