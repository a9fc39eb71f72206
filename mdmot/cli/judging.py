"""What a sampler of K steps makes of a model or a law: the part of `mdmot evaluate` that samples."""

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np

from mdmot.cli.options import print_table, progress
from mdmot.cli.sampling_options import Settled
from mdmot.errors import InputError
from mdmot.workflows.tasks import MASK_SIGN

if TYPE_CHECKING:
    from mdmot.cli.rows import Row
    from mdmot.cli.samplers import Run
    from mdmot.data import Language
    from mdmot.metrics.laws import LogProb
    from mdmot.models import Named
    from mdmot.plans import Reveal

MOST_PARSED = 2**10
"""Windows of text that are parsed, for comparison."""

MOST_ROWS_AT_ONCE = 256


class Right(NamedTuple):
    """What is known of right sequences.

    Attributes:
      tokens: Some of them, independent, one a row.
      log_prob: Their law, if its probabilities are known.
      entropy: Of the law, in nats, if it is known exactly.
      language: The language that decides whether a sequence is right, if there is one.
      is_python: Whether they are windows of Python programs.
    """

    tokens: np.ndarray
    log_prob: "LogProb | None"
    entropy: float | None
    language: "Language | None"
    is_python: bool


def judged(source: "Named", right: Right, chosen: Settled, seed: int) -> dict[str, Any]:
    """Measures what a sampler makes of a model or of a law.

    Args:
      source: The model or the law.
      right: What is known of right sequences.
      chosen: The sampler, and how much is measured.
      seed: Of the samples and the orders.

    Returns:
      The measures by name, each with its error, None for those that make no sense here.

    Raises:
      InputError: If there is but one sequence.
    """
    masked = (source.vocabulary.size,) * right.tokens.shape[1]
    run, tokens = _sampled(source, [masked] * chosen.num, chosen, seed)
    return {
        "reveal": chosen.reveal,
        **chosen.given,
        "num": chosen.num,
        "orders": chosen.orders,
        **_likelihood(source, right, run, chosen, seed),
        **_legality(right, tokens),
        **_distances(right, tokens, seed),
        "exact_match": _matches(source, right, chosen, seed),
        **_parsing(source, right, tokens),
    }


def show(found: dict[str, Any]) -> None:
    """Prints the measures for a person."""
    steps = f"{found['steps']} steps of {found['schedule']}, {found['reveal']} reveals"
    click.echo(f"{found['num']:,} samples in {steps}:")
    rows: list[tuple[str, str, str]] = []
    rate, least = found["token_error_rate"], found["least_token_error_rate"]
    of_law = "" if least is None else f"; the law's own is {least:.4g}"
    rows.append(("token error rate, at most", *_with_error(rate, of_law)))
    if found["kl_to_sampler"] is not None:
        rows.append(("KL(law || sampler), at most, nats", *_with_error(found["kl_to_sampler"])))
    for name, label in (
        ("legal_share", "legal share"),
        ("exact_match", "exact match of answers"),
        ("parse_rate", "samples that parse"),
        ("parse_rate_of_text", "windows of the text that parse"),
    ):
        if found[name] is not None:
            share = found[name]
            rows.append((label, f"{share['value']:.4g}", f"{share['low']:.3g} to {share['high']:.3g}"))
    for name, label in (("kl_to_law", "KL(sampler || law), nats"), ("total_variation", "total variation")):
        if found[name] is not None:
            rows.append((label, *_with_error(found[name])))
    print_table(("measure", "value", "error, or interval of 95 %"), rows)
    if found["unseen"] is not None and found["total_variation"] is None:
        click.echo(
            f"{100 * found['unseen']:.0f} % of what the sampler makes was not drawn: too much for "
            "distances by frequencies; pass a larger --num"
        )


def _sampled(source: "Named", rows: "list[Row]", chosen: Settled, seed: int) -> "tuple[Run, np.ndarray]":
    from mdmot.cli.batches import Sample, batches, draw, make_the_run
    from mdmot.cli.samplers import rule_named

    run = make_the_run(rows, source.model.mask_id, rule_named(chosen.reveal, chosen.given), chosen.given)
    parts = batches(rows, source.entries)
    found: dict[int, Sample] = {}
    with progress(len(parts), "samples") as advance:
        for batch in parts:
            found |= draw(seed, run, source.model, rows, batch, None, None)
            advance(f"{len(found)} of {len(rows)} sequences")
    return run, np.array([one.tokens for _, one in sorted(found.items())])


def _revealed(run: "Run", reveal: str, length: int) -> "Reveal":
    from mdmot.plans import REVEALS

    assert run.grid is not None
    return REVEALS[reveal].from_alpha(run.grid.alpha, length)


def _likelihood(source: "Named", right: Right, run: "Run", chosen: Settled, seed: int) -> dict[str, Any]:
    """The token error rate, and the divergence of the sampler from the law."""
    from mdmot.information import jax_scorer
    from mdmot.metrics import kl_to_sampler, sampler_likelihood, token_error_rate

    rows, length = _spread(right.tokens, chosen.num), right.tokens.shape[1]
    if len(rows) < 2:
        raise InputError("one sequence has no standard error; pass a longer text, or --num 0")
    assert run.grid is not None
    batch_size = source.rows_at_once(min(MOST_ROWS_AT_ONCE, len(rows) * chosen.orders))
    with progress(
        -(-len(rows) * chosen.orders * len(run.grid.reveal) // batch_size), "likelihood"
    ) as advance:
        found = sampler_likelihood(
            seed,
            jax_scorer(source.model.denoiser, source.model.params, source.vocabulary.size),
            rows,
            source.vocabulary.size,
            _revealed(run, chosen.reveal, length),
            orders=chosen.orders,
            batch_size=batch_size,
            progress=lambda done, total: advance(f"{done:,} of {total:,} states"),
        )
    rate = token_error_rate(lambda _: found.log_likelihood, rows)
    one = token_error_rate(lambda _: found.path_log_likelihood, rows)
    kl = None
    if right.log_prob is not None:
        kl = kl_to_sampler(right.log_prob, rows, found.log_likelihood)
    return {
        "token_error_rate": rate._asdict() | {"bound": "upper", "one_order": one.value},
        "least_token_error_rate": None if right.entropy is None else math.exp(right.entropy / length),
        "kl_to_sampler": None if kl is None else kl._asdict() | {"bound": "upper"},
    }


def _legality(right: Right, tokens: np.ndarray) -> dict[str, Any]:
    from mdmot.metrics import legal_share, sequence_error_rate

    if right.language is not None:
        legal = legal_share(right.language, tokens)
    elif right.log_prob is not None:
        legal = sequence_error_rate(right.log_prob, tokens).complement
    else:
        return {"legal_share": None, "sequence_error_rate": None}
    return {"legal_share": legal._asdict(), "sequence_error_rate": legal.complement._asdict()}


def _distances(right: Right, tokens: np.ndarray, seed: int) -> dict[str, Any]:
    """Distances by the frequencies of whole sequences, where nearly all of them were drawn."""
    from mdmot.metrics import kl_to_law, total_variation_to_law

    if right.log_prob is None:
        return {"kl_to_law": None, "total_variation": None, "unseen": None}
    kl = kl_to_law(seed, right.log_prob, tokens)
    variation = total_variation_to_law(seed, right.log_prob, tokens)
    return {
        "kl_to_law": kl._asdict() if kl.is_told else None,
        "total_variation": variation._asdict() if variation.is_told else None,
        "unseen": kl.unseen,
    }


def _matches(source: "Named", right: Right, chosen: Settled, seed: int) -> dict[str, Any] | None:
    """Answers to questions that have one."""
    from mdmot.metrics import exact_match

    if right.language is None or right.language.asker is None:
        return None
    answers = _spread(right.tokens, chosen.num)
    questions = right.language.questions(seed, answers)
    _, found = _sampled(source, list(map(tuple, questions.tolist())), chosen, seed)
    return exact_match(found, answers)._asdict() | {"questions": len(answers)}


def _parsing(source: "Named", right: Right, tokens: np.ndarray) -> dict[str, Any]:
    from mdmot.metrics import parse_rate

    if not right.is_python:
        return {"parse_rate": None, "parse_rate_of_text": None}
    rates = (
        parse_rate([source.vocabulary.decode(row, MASK_SIGN) for row in rows.tolist()])._asdict()
        for rows in (tokens, _spread(right.tokens, MOST_PARSED))
    )
    return dict(zip(("parse_rate", "parse_rate_of_text"), rates, strict=True))


def _spread(rows: np.ndarray, num: int) -> np.ndarray:
    """So many rows, or all if there are fewer, spread evenly."""
    num = min(num, len(rows))
    return rows[np.arange(num) * len(rows) // num]


def _with_error(found: dict[str, Any], note: str = "") -> tuple[str, str]:
    error = found["standard_error"]
    return f"{found['value']:.5g}", ("" if math.isnan(error) else f"+- {error:.2g}") + note
