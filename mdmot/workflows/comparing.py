"""`mdmot.compare`: decoders of a model or a law by their exact likelihood, and which one to take."""

import os
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mdmot.errors import InputError
from mdmot.names import split_decoders
from mdmot.workflows.compared import Comparison, Unit
from mdmot.workflows.naming import Name, load_to_read, precision_of
from mdmot.workflows.precision import computing_in
from mdmot.workflows.progress import Show, Tell, silent

if TYPE_CHECKING:
    from mdmot.decoders import Decoder
    from mdmot.models import Named
    from mdmot.workflows.agreed import Agreements
    from mdmot.workflows.measured_rows import Source

STEPS = (4, 8, 16, 32)

DECODERS = (
    "random",
    "random+own",
    "left-to-right",
    "bisection",
    "bisection+own",
    "low-discrepancy",
    "low-discrepancy+own",
    "entropy",
    "max-probability",
    "threshold",
    "entropy-bound",
    "entropy-bound-random",
)
"""What is compared unless others are named: orders with even and with their own steps; what people run."""

AT_ZERO = (
    "random",
    "bisection",
    "low-discrepancy",
    "max-probability",
    "margin",
    "entropy",
    "threshold",
    "entropy-bound",
)
"""The same at temperature 0."""

MODEL_LENGTH, MODEL_ROWS, LAW_ROWS = 128, 32, 512
"""With these the model that comes with mdmot is compared in less than three minutes on two cores."""

OTHER_ROWS = {"model": 48, "law": 1000}
"""Sequences that plans and knobs are fitted to."""

LAW_ORDERS = 8


def compare(
    name: Name = None,
    steps: int | Sequence[int] | None = None,
    *,
    decoders: "str | Sequence[str | Decoder] | None" = None,
    text: str | os.PathLike[str] | None = None,
    records: str | os.PathLike[str] | None = None,
    prompt_column: str | None = None,
    end: str | None = None,
    chat: bool = False,
    length: int | None = None,
    num: int | None = None,
    prompt_length: int | None = None,
    orders: int | None = None,
    temperature: float = 1.0,
    top_p: float | None = None,
    target: float | None = None,
    unit: Unit = "nats",
    batch: int | None = None,
    resume: str | os.PathLike[str] | None = None,
    kept: str | os.PathLike[str] | None = None,
    seed: int = 0,
    show: Show | None = None,
    tell: Tell = silent,
) -> "Comparison | Agreements":
    """Measures what decoders lose at some numbers of network calls, exactly and without generating.

    A decoder whose steps do not look at the tokens that they draw has a likelihood q(x|u) that can be
    computed: clean sequences are handed to the loop that samples. All decoders see the same sequences and
    the same random numbers. What is compared is E[-log q(x|u)], of a law less its entropy, so that it is
    the divergence of the samples' law from it; of a model the cross-entropy of its sampler on data.

    Plans of orders (`+own`) and the knobs of adaptive rules are fitted to other sequences than all are
    judged on. At temperature 0 nothing is drawn and there is no likelihood to compare: decoders are judged
    by how much of what they write equals what they write one token at a time (`Agreements`).

    Args:
      name: Model, law or test bed, as `mdmot.load` takes it.
      steps: Numbers of steps; adaptive rules are calibrated to as many calls in the mean. None for those
        of 4, 8, 16 and 32 that sequences are long enough for.
      decoders: Names as `mdmot.decoders.parse_decoder` reads them, as one text with commas or several; or
        decoders. None for a dozen.
      text: As for `mdmot.profile`.
      records: FILE or FILE:COLUMN with one example a record, as for `mdmot.profile`.
      prompt_column: Column of what is given in each record, and costs nothing.
      end: Text of the token that ends a text, for a model that does not say it itself.
      chat: Whether the prompts are questions for the chat template of the model.
      length: Tokens of a sequence; None for the model's, 128 at most.
      num: Sequences to judge on; None for 32 of a model and 512 of a law, of which all are taken if it has
        65,536 or fewer.
      prompt_length: Tokens at the beginning of each sequence that are given and cost nothing; None for
        none, and at temperature 0 for the questions of the model's language or half of the sequence.
      orders: Draws of each decoder's own randomness for a sequence; None for 1 for a model and 8 for a law.
        The loss of their mixture is estimated from them.
      temperature: Of the draws.
      top_p: Draws from the likeliest tokens that have this probability together; None for all.
      target: Loss to reach, for `choice`; None for none.
      unit: Of the target: "nats" a sequence or "bits" a token.
      batch: Sequences in one network call; None for 16 for a model and 256 for a law.
      resume: File where the state is kept; the same call goes on from it.
      kept: The same.
      seed: Seed of all draws.
      show: Called as batches end.
      tell: Called with the time that a long comparison will take, before it begins.

    Returns:
      The decoders at their steps with what they lose, those that are best, and the one to take.

    Raises:
      InputError: If the name, a decoder, the text or an option does not fit.

    Example:
      >>> found = compare("markov:stay=.9,states=2,length=8", 4, decoders="random,bisection+own")
      >>> found
      Comparison(2 rows on all 256 sequences of markov:stay=.9,states=2,length=8; take ...)
    """
    if not 0 <= temperature < float("inf"):
        raise InputError(f"temperature {temperature} is not a number of at least 0; pass e.g. 1.0")
    place = kept if resume is None else resume
    state = None if place is None else pathlib.Path(place)
    with computing_in(precision_of(name)):
        from mdmot.workflows import agreeing, comparing_decoders
        from mdmot.workflows.comparing_how import How
        from mdmot.workflows.held_rows import held_rows
        from mdmot.workflows.measured_rows import Source

        named = load_to_read(name, "compare takes masked models", chat=chat)
        is_zero = temperature == 0
        is_law = named.law is not None
        source = Source(text, records, prompt_column, end, chat)
        given = next((name for name, value in source._asdict().items() if value), None)
        if is_law and given is not None:
            raise InputError(
                f"--{given.replace('_', '-')} is not read for {named.name}: a law makes its own sequences; "
                "leave it out"
            )
        drawing = {"--target": target, "--top-p": top_p, "--orders": orders}
        needless = " and ".join(option for option, value in drawing.items() if value is not None)
        if is_zero and needless:
            raise InputError(
                "nothing is drawn at temperature 0, so that there is no likelihood: leave out "
                f"{needless}, or take another temperature"
            )
        asked = asked_decoders((AT_ZERO if is_zero else DECODERS) if decoders is None else decoders)
        rows = held_rows(
            name,
            named,
            source,
            _length(named, length, source),
            num or (LAW_ROWS if is_law else MODEL_ROWS),
            OTHER_ROWS["law" if is_law else "model"],
            0 if prompt_length is None and not is_zero else prompt_length,
            seed,
            tell,
        )
        judged, others = len(rows.judged.tokens), len(rows.others.tokens)
        if num is not None and rows.judged.is_exact:
            tell(f"compare: --num is not read: the law has {judged:,} sequences, and all are judged on")
        elif num is not None and judged < num:
            tell(
                f"compare: there are {judged + others} sequences: {judged} to judge on, {others} to fit to"
            )
        drawn = rows.judged.num_masked
        assert drawn is not None, "as many are given in each"
        how = How(
            seed=seed,
            steps=asked_steps(steps, drawn),
            positions=drawn,
            orders=orders or (LAW_ORDERS if is_law else 1),
            temperature=temperature,
            top_p=top_p,
            batch=batch or named.rows_at_once(256 if is_law else 16),
        )
        arguments = (named, rows, asked, how, state, show, tell)
        if is_zero:
            return agreeing.agreements(*arguments)
        tokens = rows.counted or drawn
        return comparing_decoders.comparison(*arguments, target=_in_nats(target, unit, tokens))


def asked_decoders(decoders: "str | Sequence[str | Decoder]") -> "tuple[Decoder, ...]":
    """The decoders that are asked for.

    Raises:
      InputError: If a name is not known, one is there twice, or there is none.
    """
    from mdmot.decoders import Decoder, parse_decoder

    listed = split_decoders(decoders) if isinstance(decoders, str) else list(decoders)
    found = [each if isinstance(each, Decoder) else parse_decoder(each) for each in listed]
    names = [each.name for each in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if not found or twice is not None:
        what = "there is none" if twice is None else f"{twice} is there twice"
        raise InputError(f"decoders: {what}; pass names such as random,bisection+own, each once")
    return tuple(found)


def asked_steps(steps: int | Sequence[int] | None, drawn: int) -> tuple[int, ...]:
    """The numbers of steps, rising; those that make sense unless they are given.

    Args:
      steps: What was given.
      drawn: Positions that are drawn in a sequence.

    Raises:
      InputError: If a number is not whole, below 1, above the positions or there twice, or there is none.
    """
    from mdmot.arguments import is_whole

    if steps is None:
        return tuple(each for each in STEPS if each <= drawn) or (drawn,)
    listed = (steps,) if isinstance(steps, int) else tuple(steps)
    wrong = [each for each in listed if not is_whole(each, 1) or each > drawn]
    if wrong or not listed:
        what = f"{wrong[0]!r}" if wrong else "no number"
        raise InputError(
            f"--steps: {what} for {drawn} positions that are drawn; pass whole numbers from 1 to {drawn}"
        )
    twice = next((each for each in listed if listed.count(each) > 1), None)
    if twice is not None:
        raise InputError(f"--steps: {twice} is there twice; pass each number once")
    return tuple(sorted(listed))


def _length(named: "Named", length: int | None, source: "Source") -> int | None:
    """Tokens of a sequence; None for those of records."""
    if length is None:
        if source.text is None and named.is_of_records(source.records):
            return None
        # The sequences of a law or a language have one length.
        is_free = named.law is None and named.trained_on[1] is None
        return min(named.length, MODEL_LENGTH) if is_free else named.length
    named.assert_length(length, "--length")
    return length


def _in_nats(target: float | None, unit: Unit, tokens: float) -> float | None:
    """A target in nats a sequence."""
    import math

    if target is None or unit == "nats":
        return target
    return target * tokens * math.log(2)
