"""The sections of the report: decoders compared, schedules for data, claims checked, paper and samples."""

import dataclasses
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from mdmot.provenance import jsonable
from mdmot.workflows.checking import Verification, verify
from mdmot.workflows.precision import computing_in
from mdmot.workflows.progress import Show, counted

if TYPE_CHECKING:
    import numpy as np

    from mdmot.checks.learned import LearnedOptima
    from mdmot.data import TokenizedCorpus
    from mdmot.experiments.data_to_schedule import ChainStudy, Saving, ScheduleStudy, StickyChain
    from mdmot.experiments.energy_plane import EnergyPlane, SchedulePair
    from mdmot.experiments.text_model import TextModel
    from mdmot.experiments.text_schedules import TextSchedules
    from mdmot.experiments.toy_laws import ToyLaw
    from mdmot.experiments.which_decoder import DecoderStudy, WhichDecoder
    from mdmot.models import Named


@dataclasses.dataclass(frozen=True)
class JudgedText:
    """What the model of text that comes with mdmot is shown.

    Attributes:
      model: The model.
      name: Of the text, for a person.
      tokens: The text, which the model has not been trained on.
      usual: Frequency of each byte in what it has been trained on.
    """

    model: "Named"
    name: str
    tokens: "TokenizedCorpus"
    usual: "np.ndarray"


def judged_text(text: str | os.PathLike[str] | None = None) -> JudgedText:
    """The model that comes with mdmot and a text for it.

    Args:
      text: A file or a folder; None for the sources of Python's library that its training held out.

    Raises:
      InputError: If there is no text, or less than two windows of it.
    """
    from mdmot.data import hold_out_documents, read_corpus, tokenize
    from mdmot.experiments.text_model import byte_frequencies, some_windows
    from mdmot.models import bundled_model, load_checkpoint

    with computing_in("float64"):
        model = load_checkpoint(bundled_model())
        own = None if text is None else read_corpus(text)
        trained, held_out = hold_out_documents(read_corpus(None))
        corpus = held_out if own is None else own
        tokens = tokenize(corpus, model.vocabulary, None)
        some_windows(tokens, model.length, 2)
        usual = byte_frequencies(document.content for document in trained.documents())
        name = f"documents held out from the {corpus.name}" if own is None else corpus.name
        return JudgedText(model, name, tokens, usual)


class Section(NamedTuple):
    """A part of the report, which can be found without the others.

    Attributes:
      name: Of the section, in a word or two.
      is_quick: Whether it asks no network for much, and takes seconds.
      find: `find(text, seed, show)` computes it, in double precision.
      to_json: What report.json holds of it, by its keys.
    """

    name: str
    is_quick: bool
    find: "Callable[[JudgedText, int, Show | None], Any]"
    to_json: "Callable[[Any], dict[str, Any]]"


def found_in(section: Section, text: JudgedText, *, seed: int = 0, show: Show | None = None) -> Any:
    """What a section shows.

    Args:
      section: One of `SECTIONS`.
      text: The model of text and what it is shown.
      seed: Of the masks and the samples.
      show: Called as parts end.
    """
    with computing_in("float64"):
        return section.find(text, seed, show)


def content_of(section: Section, found: Any) -> dict[str, Any]:
    """What report.json holds of a section, in JSON's types."""
    return {name: jsonable(value) for name, value in section.to_json(found).items()}


def _which_decoder(text: JudgedText, seed: int, show: Show | None) -> "WhichDecoder":
    from mdmot.experiments.which_decoder import TEXT_DECODERS, which_decoder

    advance = counted(show, "which decoder", 1 + len(TEXT_DECODERS))
    return which_decoder(seed, text.model, text.tokens, advance)


class Data(NamedTuple):
    """Schedules that data ask for.

    Attributes:
      chains: What tuning saves on chains known exactly.
      chain: One of them.
      text: The schedules that a text asks for.
    """

    chains: "list[StickyChain]"
    chain: "ChainStudy"
    text: "TextSchedules"


def _data(text: JudgedText, seed: int, show: Show | None) -> Data:
    from mdmot.experiments.data_to_schedule import chain_study, sticky_chains
    from mdmot.experiments.text_schedules import text_schedules

    advance = counted(show, "from data to schedule", 2)
    chains, chain = sticky_chains(), chain_study()
    advance("chains")
    asked = text_schedules(seed, text.model, text.tokens)
    advance("text")
    return Data(chains, chain, asked)


def _checks(text: JudgedText, seed: int, show: Show | None) -> Verification:
    return verify("float64", show=show)


def _optima(text: JudgedText, seed: int, show: Show | None) -> "LearnedOptima":
    from mdmot.checks.learned import learned_optima

    return learned_optima()


class Planes(NamedTuple):
    """Energies of many schedules.

    Attributes:
      planes: Around their minimum.
      pairs: The best schedule of each interpolation.
    """

    planes: "list[EnergyPlane]"
    pairs: "list[SchedulePair]"


def _planes(text: JudgedText, seed: int, show: Show | None) -> Planes:
    from mdmot.experiments.energy_plane import energy_planes, schedule_pairs

    return Planes(energy_planes(), schedule_pairs())


def _laws(text: JudgedText, seed: int, show: Show | None) -> "list[ToyLaw]":
    from mdmot.experiments.toy_laws import toy_laws

    return toy_laws()


def _samples(text: JudgedText, seed: int, show: Show | None) -> "tuple[TextModel, JudgedText]":
    from mdmot.experiments.text_model import text_model

    return text_model(seed, text.model, text.tokens, text.usual), text


def _data_content(found: Data) -> dict[str, Any]:
    asked = found.text
    text = _study(asked.study, asked.saving) | {
        "profile": asked.profile.to_json(),
        "held_out_path_kl": asked.path_kl,
        "standard_error": asked.standard_error,
        "gain": asked.gain.nats,
        "gain_error": asked.gain_error,
        "gain_interval": asked.gain.interval,
        "gain_is_told": asked.gain.is_told,
        "gain_verdict": asked.gain.verdict,
    }
    chains = [row._asdict() | {"best_beta": row.best_beta._asdict()} for row in found.chains]
    chain = _study(found.chain.study, found.chain.saving) | {"profile": found.chain.profile.to_json()}
    return {"data_to_schedule": {"sticky_chains": chains, "chain": chain, "text": text}}


def _optima_content(found: "LearnedOptima") -> dict[str, Any]:
    content = {
        "before": found.before.distance,
        "after": found.after.distance,
        "samples": found.samples,
        "sampled": [each.distance for each in found.sampled],
        "decay": found.decay,
    }
    return {"learned_optima": content}


def _samples_content(found: "tuple[TextModel, JudgedText]") -> dict[str, Any]:
    model, text = found
    content = {
        "samples": [sample._asdict() for sample in model.samples],
        "source": text.name,
        "provenance": text.model.provenance,
    }
    return {"text_model": model._asdict() | content}


def _decoders(study: "DecoderStudy") -> dict[str, Any]:
    """Decoders as the report's JSON has them."""
    content = study._asdict() | {"points": [point._asdict() for point in study.points]}
    return content | {"worth_of_eight": study.worth("bisection", 8)}


def _study(study: "ScheduleStudy", saving: "Saving") -> dict[str, Any]:
    """A study as the report's JSON has it."""
    plans = [
        {
            "schedule": each.name,
            "counts": each.plan.counts,
            "path_kl": each.plan.path_kl,
            "linear_steps": each.linear_steps,
            "bounds": each.bounds._asdict() | {"upper": each.bounds.least},
        }
        for each in study.plans
    ]
    curves = {name: getattr(study, name) for name in ("sweep", "path_kl", "times", "gammas")}
    return {"plans": plans, "saving": saving._asdict(), **curves}


SECTIONS = {
    "laws": Section(
        "laws",
        True,
        _laws,
        lambda found: {
            "toy_laws": [
                law._asdict() | {"sampled": [row._asdict() for row in law.sampled]} for law in found
            ]
        },
    ),
    "energies": Section(
        "energies",
        True,
        _planes,
        lambda found: {
            "energy_planes": [plane._asdict() for plane in found.planes],
            "schedule_pairs": [pair._asdict() for pair in found.pairs],
        },
    ),
    "checks": Section("checks", True, _checks, lambda found: {"verify": found.to_json()}),
    "decoders": Section(
        "decoders",
        False,
        _which_decoder,
        lambda found: {
            "which_decoder": {"chain": _decoders(found.chain), "text": _decoders(found.text)},
        },
    ),
    "data": Section("data", False, _data, _data_content),
    "samples": Section("samples", False, _samples, _samples_content),
    "optima": Section("optima", False, _optima, _optima_content),
}
"""The sections by name, in the order in which they are found: what takes seconds first."""
