"""`mdmot evaluate`: bits that a text costs under a model, and what its sampler is worth."""

import math
import pathlib
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from mdmot.cli.judging import Right, judged, show
from mdmot.cli.options import common, print_json, progress
from mdmot.cli.sample import WHOLE
from mdmot.cli.sampling_options import Sampling, sampling, settle
from mdmot.cli.sequences import PIECE, text_sequences
from mdmot.cli.source import read_source
from mdmot.errors import InputError
from mdmot.vocabulary import Symbols, assert_same_vocabulary

if TYPE_CHECKING:
    import numpy as np

    from mdmot.data import Language
    from mdmot.metrics.laws import LogProb
    from mdmot.models import Named

MOST_ROWS_AT_ONCE, MOST_LAW_TOKENS = 64, 2**20

HELD_OUT_SEQUENCES = 2**12
"""Sequences of a language or a law that are evaluated on unless others are asked for."""

EXAMPLES = """\b
Examples:
  mdmot evaluate
  mdmot evaluate --text notes/ --all
  mdmot evaluate notes-model --json
  mdmot evaluate sums --language arithmetic:digits=2 --steps 4
  mdmot evaluate ngram:length=32 --steps 8 --schedule squared-sine
"""


class Rows(NamedTuple):
    """What to evaluate on.

    Attributes:
      tokens: Clean sequences, one a row.
      name: What they are, for a person.
      documents: How many documents, or sequences of a language, they come from.
      of: What those are, in a word.
      bytes_per_token: Bytes of the text by its tokens; None for symbols.
      entropy: Nats of a sequence that no model passes, where they are known.
      language: The language that they are of.
      is_python: Whether they are windows of Python programs.
    """

    tokens: "np.ndarray"
    name: str
    documents: int
    of: str
    bytes_per_token: float | None
    entropy: float | None
    language: "Language | None"
    is_python: bool


@click.command(epilog=EXAMPLES)
@click.argument("model", metavar="[MODEL|LAW]", required=False, type=click.Path(path_type=pathlib.Path))
@click.option(
    "--text",
    type=click.Path(path_type=pathlib.Path),
    metavar="PATH",
    help="Text file or folder.  [default: what the model was trained on, or else the sources of Python's "
    "standard library]",
)
@click.option(
    "--language",
    metavar="SPEC",
    help="Fresh sequences of a language, as in `mdmot train`.  [default: the one that the model was "
    "trained on]",
)
@click.option(
    "--all",
    "whole",
    is_flag=True,
    help="Evaluate on all documents of --text, those too that a model of this text was trained on.",
)
@click.option("--length", type=WHOLE, metavar="N", help="Tokens of a window.  [default: the model's]")
@click.option(
    "--limit",
    type=click.IntRange(2, 10**9),
    metavar="N",
    help="Evaluate on N windows at most, spread evenly over the text.  "
    f"[default: all; {HELD_OUT_SEQUENCES} sequences of a language or a law]",
)
@click.option(
    "--batch",
    type=WHOLE,
    metavar="N",
    help=f"Windows of a network call.  [default: {MOST_ROWS_AT_ONCE}, fewer of a large model]",
)
@sampling
@common
def evaluate(
    model: pathlib.Path | None,
    text: pathlib.Path | None,
    language: str | None,
    whole: bool,
    length: int | None,
    limit: int | None,
    batch: int | None,
    seed: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure how many bits a text costs under MODEL, at most, and what its samples are worth.

    MODEL is a folder as in `mdmot sample`; if it is left out, the small model that comes with mdmot. The
    number is the model's bound on the text's information (NELBO), with the standard error over windows of
    text; of a model of bytes, bits per token are bits per byte, and of symbols there are none per byte.

    Of a text the documents are taken that `mdmot train` holds out, about one in twenty, chosen by their
    names and, in a file, its size: a model trained on the same text has not seen them. Pass --all for a
    text that it never saw.

    Then a sampler of K steps in random order is judged: by its likelihood of sequences that are right (the
    token error rate of Feng et al. is the perplexity under it), and by samples: the share that is legal
    in a language or a law, the share of questions answered, such as what comes after the = or the rest of
    a Sudoku, the share that Python parses, the divergence from the law. Of a LAW, a file or a test bed as
    in `mdmot law`, the sampler knows the exact conditionals, so that all of its error is the steps'.
    """
    if text is not None and language is not None:
        raise InputError("--text and --language are both given; evaluate on one at a time")
    source = read_source(model)
    if source.law is not None and (text is not None or language is not None or whole):
        raise InputError(
            f"{source.name} is a law, which makes its own sequences; leave out --text, --language, --all"
        )
    if text is None and language is None and source.law is None:
        text, language = source.trained_on
    if whole and language is not None:
        raise InputError("--all is of the documents of a text, and a language has none; leave it out")
    length = source.length if length is None else length
    source.assert_length(length, "--length")
    if source.law is not None:
        rows = _drawn(source, seed, limit)
    elif language is not None:
        rows = _sequences(source, language, length, seed, limit or HELD_OUT_SEQUENCES)
    else:
        rows = _windows(source, text, () if model is None else (model,), whole, length)
    log_prob: LogProb | None = source.log_prob if source.law is not None else None
    if rows.language is not None and rows.language.entropy is not None:
        log_prob = rows.language.log_prob
    right = Right(rows.tokens, log_prob, rows.entropy, rows.language, rows.is_python)
    is_text = source.law is None and rows.language is None
    chosen = settle(Sampling(**options), length, is_text, rows.is_python)
    content = _measured(source, rows, limit, batch, seed)
    sampler = None if chosen is None else judged(source, right, chosen, seed)
    if as_json:
        print_json(content | {"sampler": sampler, "seed": seed})
        return
    _show(content, rows)
    if sampler is not None:
        show(sampler)


def _drawn(source: "Named", seed: int, limit: int | None) -> Rows:
    assert source.law is not None
    num = limit or max(2, min(HELD_OUT_SEQUENCES, MOST_LAW_TOKENS // source.length))
    entropy, error = source.law.entropy()
    known = entropy if error == 0 else None
    tokens = source.drawn(seed, num)
    return Rows(tokens, source.name, num, "sequences", None, known, None, False)


def _sequences(source: "Named", spec: str, length: int, seed: int, num: int) -> Rows:
    from mdmot.data import read_language

    language: Language = read_language(spec)
    assert_same_vocabulary(language.vocabulary, source.vocabulary, f"the language {language.name}")
    if length != language.length:
        raise InputError(
            f"the sequences of {language.name} have {language.length} tokens, and the model's {length}; "
            "name the language that it was trained on"
        )
    tokens = language.held_out(seed, num)
    return Rows(tokens, language.name, num, "sequences", None, language.entropy, language, False)


def _windows(
    source: "Named", text: pathlib.Path | None, others: tuple[pathlib.Path, ...], whole: bool, length: int
) -> Rows:
    from mdmot.data import hold_out_documents, read_corpus

    if text is None and isinstance(source.vocabulary, Symbols):
        raise InputError(
            f"{source.name} has symbols of its own, not text; pass --language SPEC, or --text PATH in them"
        )
    corpus = read_corpus(text).without(*others)
    corpus.warn_of_skipped()
    if not whole and len(corpus.entries) == 1:
        name = corpus.name
        raise InputError(f"{name} is one document, of which none is held out; pass --all for all of it")
    if not whole:
        corpus = hold_out_documents(corpus)[1]
    name = f"the {len(corpus.entries)} {'' if whole else 'held-out '}documents of {corpus.name}"
    all_too = "" if whole else ", or --all if the model was trained on another text"
    rows = text_sequences(source, corpus, length, f"pass a longer text or a shorter --length{all_too}")
    if not whole and source.held_out_sha256 not in (None, corpus.fingerprint):
        click.echo(
            "evaluate: these are not the documents that the model's training held out; of the same text, "
            "if it has changed, moved or was renamed, some may have been trained on",
            err=True,
        )
    if rows.left_out:
        click.echo(
            f"evaluate: left out {rows.left_out:,} windows with tokens unknown to the model", err=True
        )
    is_python = all(PIECE.sub("", entry.path).endswith(".py") for entry in corpus.entries)
    return Rows(
        rows.tokens, name, len(corpus.entries), "documents", rows.bytes_per_token, None, None, is_python
    )


def _measured(
    source: "Named", rows: Rows, limit: int | None, batch: int | None, seed: int
) -> dict[str, Any]:
    import jax
    import numpy as np

    from mdmot.metrics import held_out_bits

    tokens = rows.tokens
    if limit is not None and limit < len(tokens):
        tokens = tokens[np.arange(limit) * len(tokens) // limit]
    click.echo(f"evaluate: {len(tokens):,} windows of {tokens.shape[1]} tokens from {rows.name}", err=True)
    batch_size = min(batch or source.rows_at_once(MOST_ROWS_AT_ONCE), len(tokens))
    with progress(-(-len(tokens) // batch_size), "evaluate") as advance:
        found = held_out_bits(
            jax.random.key(seed),
            source.model,
            np.asarray(tokens, np.int32),
            batch_size=batch_size,
            bytes_per_token=rows.bytes_per_token or 1.0,
            progress=lambda done, total: advance(f"{done:,} of {total:,} windows"),
        )
    return {
        "bits_per_token": found.bits_per_token.value,
        "bits_per_byte": None if rows.bytes_per_token is None else found.bits_per_byte.value,
        "standard_error": found.bits_per_token.standard_error,
        "tokens": tokens.size,
        "documents": rows.documents,
    }


def _show(content: dict[str, Any], rows: Rows) -> None:
    click.echo(f"{content['bits_per_token']:.4f} +- {content['standard_error']:.2g} bits a token")
    if content["bits_per_byte"] is not None:
        click.echo(f"{content['bits_per_byte']:.4f} bits a byte")
    if rows.entropy is not None:
        bits = rows.entropy / rows.tokens.shape[1] / math.log(2)
        what = "law" if rows.language is None else "language"
        click.echo(f"{bits:.4f} bits a token is the entropy of the {what}, which no model passes")
    click.echo(f"{content['tokens']:,} tokens of {content['documents']:,} {rows.of}")
