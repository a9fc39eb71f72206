"""Profiles on the command line: from a saved file, from a law, or measured with a model on a text."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from mdmot.cli.options import progress, use_precision
from mdmot.cli.outputs import is_standard_output
from mdmot.cli.sequences import text_sequences
from mdmot.cli.source import BUNDLED, ENTRIES, Source, read_source
from mdmot.cli.training_data import trained_on
from mdmot.errors import InputError
from mdmot.provenance import versions
from mdmot.vocabulary import Symbols

if TYPE_CHECKING:
    from mdmot.data import Corpus
    from mdmot.information import Profile

LEVELS, MOST_ROWS_AT_ONCE = 33, 64
LAW_DRAWS, MODEL_DRAWS = 1000, 250
"""With 250, the model that comes with mdmot is measured in three minutes on two cores."""

LONG_SECONDS = 5
"""A measurement that takes longer is announced."""

MEASURING = ("levels", "draws", "batch", "resume")
"""Options that say how to measure."""

MAX_BYTES = 2**24
"""Bytes of a text, or tokens drawn from a law, that are read at most, whole documents."""

MOST = 10**7


@dataclasses.dataclass(frozen=True)
class Request:
    """What is to be profiled, and how; None is for what was not given.

    Attributes:
      command: The command that asks.
      path: Model, law or saved profile; None for the model that comes with mdmot.
      text: Text to measure a model on.
      length: Tokens in a sequence.
      levels: Number of levels.
      draws: Mask patterns a level.
      batch: Sequences of a network call.
      estimate: Whether to measure even what is known exactly.
      resume: Where to keep the state of a measurement.
      state: Where it is kept in any case.
      seed: Seed of all draws.
    """

    command: str
    path: pathlib.Path | None
    text: pathlib.Path | None
    length: int | None
    levels: int | None
    draws: int | None
    batch: int | None
    estimate: bool
    resume: pathlib.Path | None
    state: pathlib.Path | None
    seed: int

    @property
    def name(self) -> str:
        """What is to be profiled, as a person calls it."""
        return BUNDLED if self.path is None else str(self.path)

    @property
    def is_shipped(self) -> bool:
        """Whether a plan is asked for, of the profile that comes with mdmot: nothing says otherwise."""
        is_plain = self.path is None and not self.given(("text", "length", *MEASURING))
        return self.command == "tune" and is_plain

    def given(self, names: tuple[str, ...]) -> list[str]:
        """Those of the options that are given."""
        return [name for name in names if getattr(self, name) not in (None, False)]

    def refuse(self, names: tuple[str, ...], because: str) -> None:
        """Raises InputError if one of these options is given."""
        for name in self.given(names):
            raise InputError(f"--{name} is not read for {self.name}: {because}; leave it out")


def profiling(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of a measurement, and the list of test beds."""
    whole = click.IntRange(1, MOST)
    options = (
        click.option(
            "--text",
            type=click.Path(path_type=pathlib.Path),
            metavar="PATH",
            help="Text file or folder to measure a model on, all of it up to 16 MiB; better not what it "
            "was trained on.  "
            "[default: what the training of the model held out, or else Python's library sources]",
        ),
        click.option(
            "--length", type=whole, metavar="N", help="Tokens of a sequence.  [default: the model's]"
        ),
        click.option(
            "--levels",
            type=click.IntRange(2, MOST),
            metavar="M",
            help=f"Numbers of known tokens at which to measure.  [default: {LEVELS}]",
        ),
        click.option(
            "--draws",
            type=click.IntRange(2, MOST),
            metavar="N",
            help=f"Masked sequences a level; errors shrink with their square root.  "
            f"[default: {LAW_DRAWS} of a law, {MODEL_DRAWS} of a network]",
        ),
        click.option(
            "--batch",
            type=whole,
            metavar="N",
            help=f"Sequences of a network call.  [default: {MOST_ROWS_AT_ONCE}, fewer of a large model]",
        ),
        click.option(
            "--estimate", is_flag=True, help="Measure a law by draws even if its profile is known exactly."
        ),
        click.option(
            "--resume",
            type=click.Path(path_type=pathlib.Path),
            metavar="FILE",
            help="Where the state of a measurement is kept; the same command goes on from it.  "
            "[default: beside --out, until that is written]",
        ),
        click.option(
            "--beds",
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=show_beds,
            help="List the test beds with their options and defaults, and exit.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def show_beds(context: click.Context, _: click.Parameter, value: bool) -> None:
    """Prints all test beds with their options and defaults, and ends."""
    if not value or context.resilient_parsing:
        return
    from mdmot.distributions import LAWS

    for name, kind in LAWS.items():
        click.echo(f"{name}: {kind.summary}")
        for key, option in kind.options.items():
            default = "" if option.default is None else f"{option.default:g}"
            click.echo(f"  {key}={default}  {option.meaning}, {option.least:g} to {option.most:.10g}")
    context.exit()


@contextlib.contextmanager
def kept_until_written(
    resume: pathlib.Path | None, out: pathlib.Path | None
) -> Iterator[pathlib.Path | None]:
    """Where the state of a measurement is: as asked for, else beside the output while there is none."""
    # Beside a device or a pipe there is no place for it.
    if resume is not None or out is None or is_standard_output(out) or (out.exists() and not out.is_file()):
        yield resume
        return
    state = out.with_name(f"{out.name}.state")
    yield state
    state.unlink(missing_ok=True)


def obtain_profile(request: Request) -> "Profile":
    """The profile, in double precision.

    Raises:
      InputError: If the source, the text or the options do not fit.
    """
    path = request.path
    if request.is_shipped:
        from mdmot.models import bundled_profile

        path = bundled_profile()
    if path is not None and path.suffix == ".json":
        request.refuse(("text", "length", "estimate", *MEASURING), "it is a saved profile")
        use_precision("float64")
        from mdmot.information import read_profile

        return read_profile(path)
    source = read_source(path)
    length = source.length if request.length is None else request.length
    source.assert_length(length, "--length")
    bed = source.bed
    if bed is None:
        request.refuse(("estimate",), "a model is always measured")
    else:
        request.refuse(("text",), "it is a law, which makes its own sequences")
        exact = None if request.estimate else bed.profile()
        if exact is not None:
            request.refuse(MEASURING, "its profile is known exactly; --estimate measures it all the same")
            from mdmot.information import exact_profile

            return exact_profile(np.asarray(exact), _provenance(request, source, bed.spec, None))
    return _measured(request, source, length)


def _measured(request: Request, source: Source, length: int) -> "Profile":
    import jax

    from mdmot.information import (
        default_levels,
        estimate_profile,
        estimated_profile,
        forecast_profile,
        jax_scorer,
    )

    levels = default_levels(length, request.levels or LEVELS)
    draws = request.draws or (MODEL_DRAWS if source.bed is None else LAW_DRAWS)
    batch_size = request.batch or max(1, min(MOST_ROWS_AT_ONCE, ENTRIES // source.entries))
    data, described = _sequences(request, source, length, draws * len(levels))
    scorer = jax_scorer(source.denoiser, source.params, source.vocabulary.size)
    run = (request.seed, scorer, data, source.vocabulary.size)
    sizes: dict[str, Any] = {"levels": levels, "draws": draws, "batch_size": batch_size}
    forecast = forecast_profile(*run, **sizes, device=jax.local_devices()[0])
    if forecast.seconds > LONG_SECONDS:
        click.echo(_announcement(forecast, sizes, length, request.state), err=True)
    seen = 0
    with progress(forecast.batches, "profile") as advance:

        def show(done: int, total: int) -> None:
            nonlocal seen
            for _ in range(done - seen):
                advance(f"{done} of {total} batches")
            seen = done

        if request.state is not None:
            from mdmot.files import prepare_folder

            prepare_folder(request.state.parent)
        try:
            estimate = estimate_profile(*run, **sizes, resume_file=request.state, progress=show)
        except KeyboardInterrupt:
            if request.state is not None:
                click.echo(f"kept in {request.state}; the same command goes on from there", err=True)
            raise
    # The network may have run in single precision; what follows is small.
    use_precision("float64")
    return estimated_profile(estimate, _provenance(request, source, described, draws))


def _announcement(forecast: Any, sizes: dict[str, Any], length: int, state: pathlib.Path | None) -> str:
    total = len(sizes["levels"]) * sizes["draws"]
    held = [
        f"{bytes_ / 2**20:.0f} MB {where}"
        for bytes_, where in ((forecast.host_bytes, "of memory"), (forecast.device_bytes, "on the device"))
        if bytes_ is not None
    ]
    kept = f"{state} keeps what is done" if state else "--resume FILE would keep what is done"
    return (
        f"profile: {total} sequences of {length} tokens in {forecast.batches} batches, "
        f"about {_duration(forecast.seconds)}{''.join(f', {part}' for part in held)}; {kept}"
    )


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _sequences(request: Request, source: Source, length: int, most: int) -> tuple[np.ndarray, Any]:
    """Sequences to mask, drawn from a law or cut from a text, and where they come from."""
    if source.bed is not None:
        most = max(2, min(most, MAX_BYTES // length))
        return drawn_sequences(source, request.seed, most), source.bed.spec
    text, language = trained_on(source) if request.text is None else (None, None)
    if language is not None:
        from mdmot.data import read_language

        drawn = read_language(language)
        if drawn.length != length:
            raise InputError(f"--length {length}: the sequences of {drawn.name} have {drawn.length} tokens")
        return drawn.held_out(request.seed, most), drawn.name
    if request.text is None and text is None and isinstance(source.vocabulary, Symbols):
        raise InputError(f"{source.name} writes no Python source; pass --text PATH, one sequence a line")
    corpus = _corpus(request, text)
    rows = text_sequences(source, corpus, length, "pass a longer --text PATH")
    return rows.tokens, corpus.provenance


def _corpus(request: Request, trained: pathlib.Path | None) -> "Corpus":
    """The documents to measure on, as many as may be read: all that are given, or held-out ones."""
    from mdmot.data import hold_out_documents, read_corpus

    text = trained if request.text is None else request.text
    corpus = read_corpus(text).without(*(() if request.path is None else (request.path,)))
    if request.text is None:
        corpus = hold_out_documents(corpus)[1]
    read = np.cumsum([entry.size for entry in corpus.entries])
    num = max(1, int(np.searchsorted(read, MAX_BYTES, side="right")))
    return dataclasses.replace(corpus, entries=corpus.entries[:num])


def drawn_sequences(source: Source, seed: int, num: int) -> np.ndarray:
    """Sequences of a law, in equal parts that fit into memory."""
    import jax

    assert source.bed is not None
    part = max(1, min(num, ENTRIES // source.entries))
    keys = jax.random.split(jax.random.key(seed), -(-num // part))
    return np.concatenate([np.asarray(source.bed.sample(key, part)) for key in keys])[:num]


def _provenance(request: Request, source: Source, data: Any, draws: int | None) -> dict[str, Any]:
    weights = {} if source.weights_sha256 is None else {"weights_sha256": source.weights_sha256}
    method = {"method": "exact"} if draws is None else {"method": "measured", "draws": draws}
    return {
        "command": f"mdmot {request.command}",
        "source": source.name,
        **weights,
        "data": data,
        **method,
        "seed": request.seed,
        "versions": versions(),
    }
