"""`mdmot.evaluate`: bits that a text costs under a model, and what its sampler is worth."""

import math
import os
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mdmot.errors import InputError
from mdmot.workflows.evaluated import MOST_ROWS_AT_ONCE, WINDOWS, Evaluation
from mdmot.workflows.naming import Name, load_to_read, precision_of
from mdmot.workflows.precision import computing_in
from mdmot.workflows.progress import Progress, Show, Tell, silent

if TYPE_CHECKING:
    import numpy as np

    from mdmot.metrics import HeldOut
    from mdmot.models import Named
    from mdmot.plans import Plan, RevealKind
    from mdmot.schedules import MaskSchedule
    from mdmot.workflows.judgement import Judgement
    from mdmot.workflows.right import Right


def evaluate(
    name: Name = None,
    *,
    text: str | os.PathLike[str] | None = None,
    language: str | None = None,
    records: str | os.PathLike[str] | None = None,
    prompt_column: str | None = None,
    end: str | None = None,
    chat: bool = False,
    everything: bool = False,
    length: int | None = None,
    limit: int | None = None,
    batch: int | None = None,
    num: int | None = None,
    steps: int | None = None,
    schedule: "MaskSchedule | Plan | None" = None,
    reveal: "RevealKind | None" = None,
    orders: int | None = None,
    seed: int = 0,
    keep: "Callable[[Evaluation], None] | None" = None,
    show: Show | None = None,
    tell: Tell = silent,
) -> Evaluation:
    """How many bits a text costs under a model, at most, and how good its samples are.

    From a text the documents are taken that `mdmot.train` holds out, about one in twenty, chosen by their
    names, and of their windows a sample, spread evenly; for a network that is not mdmot's, all documents.
    Then a sampler of K steps in random order is
    judged: by how likely it makes sequences that are right, and by its samples. For a law the sampler knows
    the exact conditionals, so that all of its error comes from its steps.

    Args:
      name: Model, law or test bed, as `mdmot.load` takes it.
      text: Text file or folder, or `-` for standard input; None for what the model was trained on, or else
        the sources of Python's standard library.
      language: Fresh sequences of a language, by name; None for the one that the model was trained on.
      records: FILE or FILE:COLUMN with one example a record, `-` for standard input; None for those that
        the model was trained on, if it was.
      prompt_column: Column of what is given in each record; None for that of the training, or none.
      end: Text of the token that ends a text, for a model that does not say it itself: then it is counted,
        and rows are filled up with it. None for texts of known lengths.
      chat: Whether the prompts are questions for the chat template of the model.
      everything: Whether to evaluate on all windows of all documents of the text, including those that a
        model of this text was trained on.
      length: Tokens of a window; None for the model's.
      limit: Windows at most; None for 512 of a text, 4096 sequences of a language or a law.
      batch: Windows in one network call; None for 64, fewer for a large model.
      num: Samples to judge, and sequences whose likelihood is measured, 0 for none; None for 256 for a law
        or a language, 32 for Python, else 0.
      steps: Sampling steps; None for a plan's, or one a token, 32 at most.
      schedule: Mask schedule or plan of the sampler; None for linear.
      reveal: How its steps reveal tokens; None for a plan's own, or `mdmot.plans.Fixed`.
      orders: Random orders that the likelihood of a sequence is averaged over; None for 8 to 32, by the
        length, and for text 1.
      seed: Seed of all draws.
      keep: Called with the bits as soon as they are known, before samples are judged; and if they are
        interrupted, with those of the windows so far.
      show: Called as batches end.
      tell: Called with lines on what is evaluated on.

    Returns:
      The bits, with their error, and the judgement of the sampler.

    Raises:
      InputError: If the name, the text or the options do not fit.

    Example:
      >>> evaluate("markov:states=2,length=4", limit=64, num=0)
      Evaluation(...)
    """
    if text is not None and language is not None:
        raise InputError("--text and --language are both given; evaluate on one at a time")
    with computing_in(precision_of(name)):
        from mdmot.metrics import Estimate, in_bits
        from mdmot.training import Stopped, mean_loss
        from mdmot.workflows import judging

        named = load_to_read(name, "mdmot.evaluate takes masked models", chat=chat)
        from mdmot.workflows.records import records_of

        asked = records_of(named, records, prompt_column, end, (text, language), chat=chat)
        if asked is not None:
            unread = {"length": length, "num": num or None, "steps": steps, "schedule": schedule}
            _refuse_with_records(unread | {"reveal": reveal, "orders": orders})
            from mdmot.workflows.record_evaluation import evaluated_records

            return evaluated_records(
                named,
                asked,
                whole=everything,
                limit=limit,
                batch=batch,
                seed=seed,
                keep=keep,
                show=show,
                tell=tell,
            )
        text = None if text is None else pathlib.Path(text)
        right = _right(name, named, text, language, everything, length, limit, seed, tell)
        sampling = judging.settled(right, num, steps, schedule, reveal, orders, tell)
        if limit is None and right.source == "text" and not everything:
            limit = WINDOWS
        tokens = right.tokens if limit is None else right.spread(limit)
        some = "" if len(tokens) == len(right.tokens) else f" of {len(right.tokens):,}"
        tell(f"evaluate: {len(tokens):,}{some} windows of {tokens.shape[1]} tokens from {right.name}")
        try:
            bits = _bits(named, right, tokens, batch, seed, show)
        except Stopped as stopped:
            num_windows = len(stopped.found.nats)
            tell(f"evaluate: stopped after {num_windows:,} of {len(tokens):,} windows")
            if keep is not None and num_windows > 1:
                nats = Estimate(*mean_loss(*stopped.found))
                bits = in_bits(nats, right.bytes_per_token or 1.0)
                keep(_evaluation(right, tokens[:num_windows], bits, None))
            raise
        if keep is not None:
            keep(_evaluation(right, tokens, bits, None))
        judgement = None if sampling is None else judging.judged(named, right, sampling, seed, show)
        return _evaluation(right, tokens, bits, judgement)


def _evaluation(
    right: "Right", tokens: "np.ndarray", bits: "HeldOut", judgement: "Judgement | None"
) -> Evaluation:
    least = right.entropy
    return Evaluation(
        bits.bits_per_token,
        None if right.bytes_per_token is None else bits.bits_per_byte,
        tokens.size,
        right.documents,
        right.source,
        None if least is None else least / tokens.shape[1] / math.log(2),
        judgement,
    )


def _refuse_with_records(given: dict[str, Any]) -> None:
    """Raises InputError for what is not read where records are evaluated on."""
    name = next((name for name, value in given.items() if value is not None), None)
    if name is not None:
        raise InputError(
            f"--{name} is not read for records, whose own lengths count and of which no sampler is judged "
            "here; leave it out, or use mdmot compare"
        )


def _right(
    name: Name,
    named: "Named",
    text: pathlib.Path | None,
    language: str | None,
    everything: bool,
    length: int | None,
    limit: int | None,
    seed: int,
    tell: Tell,
) -> "Right":
    """What to evaluate on."""
    from mdmot.workflows import right
    from mdmot.workflows.texts import STDIN, readable

    if named.law is not None and (text is not None or language is not None or everything):
        raise InputError(
            f"{named.name} is a law, which makes its own sequences; leave out --text, --language, --all"
        )
    if text is None and language is None and named.law is None:
        text, language = named.trained_on
    if everything and language is not None:
        raise InputError("--all is of the documents of a text, and a language has none; leave it out")
    length = named.length if length is None else length
    named.assert_length(length, "--length")
    if named.law is not None:
        return right.of_law(named, seed, limit)
    if language is not None:
        return right.of_language(named, language, length, seed, limit)
    apart = () if name is None else (pathlib.Path(name),)
    # Of a network of others no text is held out, and what is piped in is no training's.
    whole = everything or not named.is_of_mdmot or text == STDIN
    with readable(text) as found:
        return right.of_text(named, found, apart, length, tell, whole=whole)


def _bits(
    named: "Named", right: "Right", tokens: "np.ndarray", batch: int | None, seed: int, show: Show | None
) -> "HeldOut":
    import jax
    import numpy as np

    from mdmot.metrics import held_out_bits

    batch_size = min(batch or named.rows_at_once(MOST_ROWS_AT_ONCE), len(tokens))

    def report(done: int, total: int) -> None:
        if show is not None:
            show(Progress("evaluate", done, total, f"{done:,} of {total:,} windows"))

    return held_out_bits(
        jax.random.key(seed),
        named.model,
        np.asarray(tokens, np.int32),
        batch_size=batch_size,
        bytes_per_token=right.bytes_per_token or 1.0,
        progress=report,
    )
