"""`mdmot.profile`: the information profile of a model or a law, computed or measured."""

import dataclasses
import os
import pathlib
from typing import TYPE_CHECKING, Any

from mdmot.errors import InputError
from mdmot.provenance import versions
from mdmot.workflows.long_work import announce, measuring
from mdmot.workflows.measured_rows import Source, sequences
from mdmot.workflows.naming import Name, called, load_to_read, precision_of
from mdmot.workflows.precision import computing_in, without_rounding
from mdmot.workflows.progress import Show, Tell, silent
from mdmot.workflows.weights import asked_dtype, refuse_dtype

if TYPE_CHECKING:
    import numpy as np

    from mdmot.information import Profile
    from mdmot.models import Named

LEVELS, MOST_ROWS_AT_ONCE = 33, 64
LAW_DRAWS, MODEL_DRAWS = 1000, 250
"""With 250, the model that comes with mdmot is measured in three minutes on two cores."""


@dataclasses.dataclass(frozen=True)
class Measuring:
    """How to measure; None is for what was not given, as in `profile`."""

    source: Source
    length: int | None
    levels: int | None
    draws: int | None
    batch: int | None
    estimate: bool
    resume: str | os.PathLike[str] | None

    def refuse(self, name: Name, options: str, because: str) -> None:
        """Raises InputError if one of these options is given."""
        for option in options.split():
            holder = self.source if option in Source._fields else self
            if getattr(holder, option) not in (None, False):
                option = option.replace("_", "-")
                raise InputError(f"--{option} is not read for {called(name)}: {because}; leave it out")


def profile(
    name: Name = None,
    *,
    text: str | os.PathLike[str] | None = None,
    records: str | os.PathLike[str] | None = None,
    prompt_column: str | None = None,
    end: str | None = None,
    chat: bool = False,
    length: int | None = None,
    levels: int | None = None,
    draws: int | None = None,
    batch: int | None = None,
    estimate: bool = False,
    resume: str | os.PathLike[str] | None = None,
    kept: str | os.PathLike[str] | None = None,
    seed: int = 0,
    show: Show | None = None,
    tell: Tell = silent,
) -> "Profile":
    """The information profile: the uncertainty of one more token, by how many are known.

    A law's profile is computed if it can be, else measured with its exact conditionals. A model's is
    measured on a text, without generating any: networks in single precision, laws and all that follows in
    double, whatever JAX is set to.

    Args:
      name: Model, law or test bed, as `mdmot.load` takes it, or the .json file of a saved profile.
      text: File or folder to measure a model on, all of it up to 16 MiB; better not what it was trained
        on. None for what its training held out, or else Python's library sources.
      records: FILE or FILE:COLUMN with one example a record, to measure it on instead; None for what its
        training held out of its records, if it was trained on some.
      prompt_column: Column of what is given in each record: the profile is of what follows.
      end: Text of the token that ends a text and fills its row up, for a model that does not say it itself.
      chat: Whether the prompts are questions for the chat template of the model.
      length: Tokens of a sequence; None for the model's.
      levels: How many numbers of known tokens to measure at; None for 33.
      draws: Masked sequences for each of them; errors shrink with the square root. None for 1000 for a law
        and 250 for a network.
      batch: Sequences in one network call; None for 64, fewer for a large model.
      estimate: Whether to measure a law even if its profile is known exactly.
      resume: File where the state of a measurement is kept; the same call goes on from it.
      kept: The same, for whoever does not know whether there is anything to measure.
      seed: Seed of all draws.
      show: Called as batches end.
      tell: Called with the time and the memory that a long measurement will take, before it begins.

    Returns:
      The profile, with where it comes from.

    Raises:
      InputError: If the name, the text or an option does not fit.

    Example:
      >>> profile("markov:states=2,length=8")
      Profile(8 tokens, exact: entropy 1.085 nats, total correlation 4.46, dual 0.8847, step ratio 2.49)
    """
    source = Source(text, records, prompt_column, end, chat)
    how = Measuring(source, length, levels, draws, batch, estimate, resume)
    if name is not None and pathlib.Path(name).suffix == ".json":
        saved = "text records prompt_column end chat length estimate levels draws batch resume"
        how.refuse(name, saved, "it is a saved profile")
        refuse_dtype(asked_dtype(), f"the saved profile {name}")
        from mdmot.information import read_profile

        return read_profile(pathlib.Path(name))
    place = kept if resume is None else resume
    state = None if place is None else pathlib.Path(place)
    with computing_in(precision_of(name)):
        named = load_to_read(name, "profile and tune take masked models", chat=source.chat)
        size = named.length if length is None else length
        named.assert_length(size, "--length")
        if named.law is None:
            how.refuse(name, "estimate", "a model is always measured")
        else:
            how.refuse(
                name, "text records prompt_column end chat", "it is a law, which makes its own sequences"
            )
            exact = None if estimate else named.law.profile()
            if exact is not None:
                because = "its profile is known exactly; --estimate measures it all the same"
                how.refuse(name, "levels draws batch resume", because)
                from mdmot.distributions import Tabular
                from mdmot.information import exact_profile

                values = _float64(exact)
                if isinstance(named.law.params, Tabular):
                    values = _float64(without_rounding(values.tolist(), values.sum()))
                return exact_profile(values, measured_from(named, named.law.spec, seed, None))
        measurement = _Measurement(name, named, how, size, state, seed, tell)
        estimated = measurement.run(show, tell)
    with computing_in("float64"):
        from mdmot.information import estimated_profile

        return estimated_profile(
            estimated, measured_from(named, measurement.described, seed, measurement.draws)
        )


class _Measurement:
    """A measurement that is about to be made."""

    def __init__(
        self,
        name: Name,
        named: "Named",
        how: Measuring,
        length: int,
        state: pathlib.Path | None,
        seed: int,
        tell: Tell,
    ) -> None:
        from mdmot.information import default_levels, jax_scorer

        self.state = state
        self.draws = how.draws or (MODEL_DRAWS if named.law is None else LAW_DRAWS)
        most = self.draws * len(default_levels(length, how.levels or LEVELS))
        read = sequences(name, named, how.source, how.length, most, seed, tell)
        self.length = read.num_drawn
        levels = default_levels(self.length, how.levels or LEVELS)
        batch_size = how.batch or named.rows_at_once(MOST_ROWS_AT_ONCE)
        self.sizes: dict[str, Any] = {"levels": levels, "draws": self.draws, "batch_size": batch_size}
        self.sizes["given"] = read.given
        self.described = read.described
        self.arguments = (seed, jax_scorer(named.model), read.tokens)

    def run(self, show: Show | None, tell: Tell) -> Any:
        """Makes it, announced if it is long."""
        import jax

        from mdmot.files import prepare_folder
        from mdmot.information import estimate_profile, forecast_profile

        forecast = forecast_profile(*self.arguments, **self.sizes, device=jax.local_devices()[0])
        total = len(self.sizes["levels"]) * self.draws
        announce("profile", total, self.length, forecast, self.state, tell)
        if self.state is not None:
            prepare_folder(self.state.parent)

        with measuring("profile", forecast.batches, self.state, show, tell) as report:
            return estimate_profile(*self.arguments, **self.sizes, resume_file=self.state, progress=report)


def measured_from(
    named: "Named", data: Any, seed: int, draws: int | None, command: str = "mdmot profile"
) -> dict[str, Any]:
    """Where numbers about a model or a law come from; exact ones have no draws."""
    weights = {} if named.weights_sha256 is None else {"weights_sha256": named.weights_sha256}
    method = {"method": "exact"} if draws is None else {"method": "measured", "draws": draws}
    return {
        "command": command,
        "source": named.name,
        **weights,
        **({} if asked_dtype() is None else {"dtype": asked_dtype()}),
        "data": data,
        **method,
        "seed": seed,
        "versions": versions(),
    }


def _float64(values: Any) -> "np.ndarray":
    import numpy as np

    return np.asarray(values, np.float64)
