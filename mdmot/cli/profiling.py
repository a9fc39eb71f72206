"""Profiles on the command line: from a saved file, from a law, or measured with a model on a text."""

import contextlib
import dataclasses
import pathlib
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from mdmot.cli.batches import ENTRIES
from mdmot.cli.options import progress, use_precision, versions
from mdmot.cli.source import Source, read_source
from mdmot.errors import InputError
from mdmot.vocabulary import Bytes, Symbols

if TYPE_CHECKING:
    from mdmot.information import Profile

LEVELS, DRAWS, MOST_ROWS_AT_ONCE = 33, 1000, 64
LONG_SECONDS = 5
"""A measurement that takes longer is announced."""

MAX_BYTES = 2**24
"""Bytes of a text, or tokens drawn from a law, that are at most read."""

MOST = 10**7


@dataclasses.dataclass(frozen=True)
class Request:
    """What is to be profiled, and how; None is for what was not given.

    Attributes:
      command: The command that asks.
      path: Model, law or saved profile.
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
    path: pathlib.Path
    text: pathlib.Path | None
    length: int | None
    levels: int | None
    draws: int | None
    batch: int | None
    estimate: bool
    resume: pathlib.Path | None
    state: pathlib.Path | None
    seed: int

    def refuse(self, names: tuple[str, ...], because: str) -> None:
        """Raises InputError if one of these options is given."""
        for name in names:
            if getattr(self, name) not in (None, False):
                raise InputError(f"--{name} is not read for {self.path}: {because}; leave it out")


def profiling(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of a measurement, and the list of test beds."""
    whole = click.IntRange(1, MOST)
    options = (
        click.option(
            "--text",
            type=click.Path(path_type=pathlib.Path),
            metavar="PATH",
            help="Text file or folder to measure a model on; better not what it was trained on.  "
            "[default: Python's own library sources]",
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
            help=f"Masked sequences a level; errors shrink with their square root.  [default: {DRAWS}]",
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
    from mdmot.distributions import BEDS

    for name, kind in BEDS.items():
        click.echo(f"{name}: {kind.summary}")
        for key, option in kind.options.items():
            click.echo(
                f"  {key}={option.default:g}  {option.meaning}, {option.least:g} to {option.most:.10g}"
            )
    context.exit()


@contextlib.contextmanager
def kept_until_written(
    resume: pathlib.Path | None, out: pathlib.Path | None
) -> Iterator[pathlib.Path | None]:
    """Where the state of a measurement is: as asked for, else beside the output while there is none."""
    if resume is not None or out is None:
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
    measuring = ("levels", "draws", "batch", "resume")
    if path.suffix == ".json":
        request.refuse(("text", "length", "estimate", *measuring), "it is a saved profile")
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
            request.refuse(measuring, "its profile is known exactly; --estimate measures it all the same")
            from mdmot.information import exact_profile

            with warnings_as_lines():
                return exact_profile(np.asarray(exact), _provenance(request, source, None))
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
    draws = request.draws or DRAWS
    batch_size = request.batch or max(1, min(MOST_ROWS_AT_ONCE, ENTRIES // source.entries))
    data = _sequences(request, source, length, draws * len(levels))
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

        try:
            estimate = estimate_profile(*run, **sizes, resume_file=request.state, progress=show)
        except KeyboardInterrupt:
            if request.state is not None:
                click.echo(f"kept in {request.state}; the same command goes on from there", err=True)
            raise
    # The network may have run in single precision; what follows is small.
    use_precision("float64")
    with warnings_as_lines():
        return estimated_profile(estimate, _provenance(request, source, draws))


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


def _sequences(request: Request, source: Source, length: int, most: int) -> np.ndarray:
    """Sequences to mask: drawn from a law, or cut from a text."""
    if source.bed is not None:
        return drawn_sequences(source, request.seed, max(2, min(most, MAX_BYTES // length)))
    from mdmot.training import byte_windows, read_text

    text = read_text(request.text, MAX_BYTES)
    if isinstance(source.vocabulary, Bytes):
        rows = byte_windows(text, length)
    else:
        rows = _encoded(source, text.decode("utf-8", "replace"), length)
    if len(rows) < 2:
        raise InputError(f"the text fills one sequence of {length} tokens; pass a longer --text PATH")
    return rows.astype(np.int32)


def drawn_sequences(source: Source, seed: int, num: int) -> np.ndarray:
    """Sequences of a law, in equal parts that fit into memory."""
    import jax

    assert source.bed is not None
    part = max(1, min(num, ENTRIES // source.entries))
    keys = jax.random.split(jax.random.key(seed), -(-num // part))
    return np.concatenate([np.asarray(source.bed.sample(key, part)) for key in keys])[:num]


def _encoded(source: Source, text: str, length: int) -> np.ndarray:
    """Windows of tokens; of a vocabulary of symbols each line is a sequence of its own."""
    if not isinstance(source.vocabulary, Symbols):
        tokens = np.asarray(source.vocabulary.encode(text))
        if len(tokens) < length:
            raise InputError(
                f"the text has {len(tokens)} tokens, less than one sequence of {length}; "
                "pass a longer --text PATH"
            )
        return tokens[: len(tokens) // length * length].reshape(-1, length)
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                rows.append(source.vocabulary.encode(line))
            except InputError as error:
                raise InputError(f"--text, line {number}: {error}") from None
            if len(rows[-1]) != length:
                raise InputError(
                    f"--text, line {number}: {len(rows[-1])} tokens, expected {length}; "
                    "write one sequence a line, or pass --length"
                )
    return np.asarray(rows).reshape(len(rows), length)


def _provenance(request: Request, source: Source, draws: int | None) -> dict[str, Any]:
    if source.bed is not None:
        data = source.bed.spec
    else:
        data = "Python's standard library" if request.text is None else str(request.text)
    method = {"method": "exact"} if draws is None else {"method": "measured", "draws": draws}
    return {
        "command": f"mdmot {request.command}",
        "source": str(request.path),
        "data": data,
        **method,
        "seed": request.seed,
        "versions": versions(),
    }


@contextlib.contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Shows warnings about a profile as one line each on standard error."""
    from mdmot.information import ProfileWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ProfileWarning)
        yield
    for warning in caught:
        if issubclass(warning.category, ProfileWarning):
            click.echo(f"mdmot: {warning.message}", err=True)
