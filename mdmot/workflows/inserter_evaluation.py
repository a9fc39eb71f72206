"""What records cost under a model that inserts, and what its samples are worth."""

import dataclasses
import math
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mdmot.errors import InputError
from mdmot.names import INSERTION
from mdmot.provenance import jsonable
from mdmot.workflows.evaluated import RECORDS
from mdmot.workflows.naming import Name, load
from mdmot.workflows.precision import computing_in
from mdmot.workflows.progress import Show, Tell, silent

if TYPE_CHECKING:
    import numpy as np

    from mdmot.data import RecordRows
    from mdmot.metrics import Apart, Estimate, Share
    from mdmot.models import NamedInserter

INSERTION_SCHEDULE, UNMASKING_SCHEDULE = "sine", "linear"
"""The schedules of the sampler unless others are asked for: early insertion loses least in few steps."""

NUM_DRAWS, ROWS_AT_ONCE, SAMPLES = 16, 64, 256
"""Estimates of the NELBO of each record, records of a network call, and samples to judge."""


@dataclasses.dataclass(frozen=True)
class LengthJudgement:
    """What samples of K steps are worth; where records have prompts, behind these.

    Attributes:
      steps: K.
      insertion_schedule: Name of the schedule of insertions.
      schedule: Name of the schedule of unmaskings.
      num: Samples that were drawn.
      without_room: How many of them wanted more room than the model has; they are not counted below.
      mean_length: Tokens of a sample, without its prompt.
      mean_length_of_records: Tokens of a record, without its prompt.
      length_distance: Total variation between the laws of these two lengths.
      exact_match: Share of the samples that are the text of the record whose prompt they had; None where
        records have no prompts.
    """

    steps: int
    insertion_schedule: str
    schedule: str
    num: int
    without_room: int
    mean_length: float
    mean_length_of_records: float
    length_distance: "Apart"
    exact_match: "Share | None"

    def measures(self) -> dict[str, Any]:
        """The field `sampler` of `mdmot evaluate --json`."""
        match = self.exact_match
        return dataclasses.asdict(self) | {
            "length_distance": self.length_distance._asdict(),
            "exact_match": None if match is None else match._asdict(),
        }


@dataclasses.dataclass(frozen=True, repr=False)
class InserterEvaluation:
    """How many bits records cost under a model that inserts, at most, and what its samples are worth.

    Attributes:
      bits_per_token: The bound on the information of a record (NELBO), by its tokens; its length is part of
        what it tells.
      bits_per_byte: The same by bytes.
      nats_per_record: The same by records; its error over records.
      tokens: Tokens that were evaluated on, prompts not counted.
      documents: Records.
      sampler: What samples are worth, if any were drawn.
    """

    bits_per_token: "Estimate"
    bits_per_byte: "Estimate"
    nats_per_record: "Estimate"
    tokens: int
    documents: int
    sampler: LengthJudgement | None

    def __repr__(self) -> str:
        nats = self.nats_per_record
        return (
            f"InserterEvaluation({nats.value:.4f} +- {nats.standard_error:.2g} nats a record, "
            f"{self.tokens:,} tokens of {self.documents:,} records)"
        )

    def to_json(self) -> dict[str, Any]:
        """The object that `mdmot evaluate --json` prints, but for the seed."""
        content = {
            "bits_per_token": self.bits_per_token.value,
            "bits_per_byte": self.bits_per_byte.value,
            "standard_error": self.bits_per_token.standard_error,
            "nats_per_record": self.nats_per_record.value,
            "nats_per_record_standard_error": self.nats_per_record.standard_error,
            "tokens": self.tokens,
            "documents": self.documents,
            "process": INSERTION,
            "sampler": self.sampler and self.sampler.measures(),
        }
        return {name: jsonable(value) for name, value in content.items()}


def evaluate_inserter(
    name: Name,
    *,
    records: str | os.PathLike[str] | None = None,
    prompt_column: str | None = None,
    everything: bool = False,
    limit: int | None = None,
    batch: int | None = None,
    num: int | None = None,
    steps: int | None = None,
    insertion_schedule: str = INSERTION_SCHEDULE,
    schedule: str = UNMASKING_SCHEDULE,
    seed: int = 0,
    keep: Callable[[InserterEvaluation], None] | None = None,
    show: Show | None = None,
    tell: Tell = silent,
) -> InserterEvaluation:
    """How many bits records cost under a model that inserts, at most, and what its samples are worth.

    Args:
      name: Folder of the model.
      records: FILE or FILE:COLUMN with one example a record, of which those are taken that the training of
        the model held out; None for those that it was trained on.
      prompt_column: Column of what is given in each; None for that of the training, or none.
      everything: Whether to take all records, those that a model was trained on too.
      limit: Records at most; None for 512, or all of them if everything is asked for.
      batch: Records in one network call; None for 64.
      num: Samples to judge, 0 for none; None for 256 if steps are given, else none.
      steps: Sampling steps; None for two a token that the model has room for.
      insertion_schedule: Name of the schedule of insertions.
      schedule: Name of the schedule of unmaskings.
      seed: Seed of all draws.
      keep: Called with the bits as soon as they are known, before samples are judged.
      show: Called as batches end.
      tell: Called with lines on what is evaluated on.

    Returns:
      The bits, with their error, and what samples are worth.

    Raises:
      InputError: If the name, the records or the options do not fit.
    """
    with computing_in("float32"):
        import jax
        import numpy as np

        from mdmot.metrics import Estimate
        from mdmot.models import NamedInserter, as_kind
        from mdmot.training import evaluate_insertion, mean_loss
        from mdmot.training.insertion_source import begun_rows

        named = as_kind(load(name), NamedInserter, "this takes models that insert")
        rows = _rows(named, records, prompt_column, everything, limit, tell)
        given = begun_rows(rows.tokens, rows.parts.first, named.model.pad_id)
        found = evaluate_insertion(
            jax.random.key(seed),
            named.model,
            given,
            num_draws=NUM_DRAWS,
            batch_size=min(
                batch or named.rows_at_once(rows.tokens.shape[1], ROWS_AT_ONCE), len(rows.tokens)
            ),
        )

        def by(counted: "np.ndarray") -> Estimate:
            a_piece = mean_loss(found.rows, counted)
            return Estimate(a_piece.nats_per_token, a_piece.standard_error)

        counted = rows.parts.counted
        kept = InserterEvaluation(
            by(counted * math.log(2)),
            by(rows.num_bytes * math.log(2)),
            by(np.ones(len(counted))),
            int(counted.sum()),
            len(counted),
            None,
        )
        if num == 0 or (num is None and steps is None):
            return kept
        if keep is not None:
            keep(kept)
        sampler = _judged(named, rows, num or SAMPLES, steps, insertion_schedule, schedule, seed, show)
        return dataclasses.replace(kept, sampler=sampler)


def _rows(
    named: "NamedInserter",
    records: str | os.PathLike[str] | None,
    prompt_column: str | None,
    everything: bool,
    limit: int | None,
    tell: Tell,
) -> "RecordRows":
    """The records to evaluate on, spread evenly over all that the model can read."""
    import numpy as np

    from mdmot.data import encode_records, read_records
    from mdmot.vocabulary import of_clean_texts
    from mdmot.workflows.records import unseen

    own = named.trained_on_records
    path = own.path if records is None and own is not None else records
    if path is None:
        raise InputError(f"{named.name} does not say what it was trained on; pass --records FILE[:COLUMN]")
    column = prompt_column or (None if own is None else own.prompt_column)
    found, is_held_out = unseen(
        named, read_records(os.fspath(path), column), whole=everything, work="evaluate", tell=tell
    )
    (rows,), left_out = encode_records(found, of_clean_texts(named.vocabulary)).padded(
        named.length, named.model.pad_id
    )
    if left_out is not None:
        tell(f"evaluate: left out: {left_out}")
    total = len(rows.tokens)
    if total < 2:
        raise InputError(
            f"{found.name}: {total} record that {named.name} can read, expected 2 or more; pass more, or "
            "--all"
        )
    num = total if limit is None and everything else min(limit or RECORDS, total)
    which = "held-out records" if is_held_out else "records"
    of = f"{num:,}" if num == total else f"{num:,} of {total:,}"
    tell(f"evaluate: {of} {which} of {found.name}")
    some = rows[np.arange(num) * total // num]
    if not some.parts.counted.any():
        raise InputError(f"{found.name}: all records are empty behind their prompts; pass others")
    # No longer than the longest, so that a call computes no more than it needs.
    length = max(1, int(some.parts.behind.max()))
    return dataclasses.replace(some, tokens=some.tokens[:, :length])


def _judged(
    named: "NamedInserter",
    rows: "RecordRows",
    num: int,
    steps: int | None,
    insertion_schedule: str,
    schedule: str,
    seed: int,
    show: Show | None,
) -> LengthJudgement:
    """What samples are worth that begin as records do."""
    import numpy as np

    from mdmot.insertion import row_with_gaps
    from mdmot.metrics import share_of, total_variation_of_samples
    from mdmot.workflows.gaps import Gapped
    from mdmot.workflows.inserting import inserted_samples, steps_of

    total, first = len(rows.tokens), rows.parts.first
    numbers = np.arange(num) * total // num if num < total else np.arange(num) % total
    starts = []
    for number in numbers.tolist():
        prompt = rows.tokens[number, : first[number]].tolist()
        row, is_open = row_with_gaps([prompt, []], named.length, named.model.pad_id)
        starts.append(Gapped(np.asarray(row)[0], np.asarray(is_open)[0]))
    grid = steps_of(steps, named.length, insertion_schedule, schedule)
    samples = inserted_samples(seed, named, grid, starts, show=show, work="samples")
    whole = [
        (number, one.tokens) for number, one in zip(numbers, samples, strict=True) if one.tokens is not None
    ]
    if len(whole) < 2:
        raise InputError(
            f"{num - len(whole)} of {num} samples wanted more room than {named.name} has; take more "
            "--steps, or train it longer"
        )
    lengths = np.array([len(tokens) - first[number] for number, tokens in whole])
    asked = rows.parts.counted
    right = sum(
        tokens == rows.tokens[number, : rows.parts.behind[number]].tolist() for number, tokens in whole
    )
    return LengthJudgement(
        len(grid.insert),
        insertion_schedule,
        schedule,
        num,
        num - len(whole),
        float(lengths.mean()),
        float(asked.mean()),
        total_variation_of_samples(seed, lengths, np.asarray(asked)),
        share_of(right, len(whole)) if first.any() else None,
    )
