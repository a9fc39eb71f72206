"""What the report is made of: decoders compared, schedules for data, claims checked, paper and samples."""

import dataclasses
import os
from typing import TYPE_CHECKING, Any

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


@dataclasses.dataclass(frozen=True, repr=False)
class Findings:
    """All that the report shows.

    Attributes:
      decoders: What orders and plans are worth, on a chain and on the text.
      verification: The claims, checked in double precision.
      optima: What a network learns where the theory says what is best.
      chains: What tuning saves on chains known exactly.
      chain: One of them.
      asked: The schedules that the text asks for.
      model: What the model of text reaches and writes.
      text: What it was shown.
      planes: Energies around their minimum.
      pairs: The best schedule of each interpolation.
      laws: Two laws of two tokens, sampled by many schedules.
      seed: Of the masks and the samples.
    """

    decoders: "WhichDecoder"
    verification: Verification
    optima: "LearnedOptima"
    chains: "list[StickyChain]"
    chain: "ChainStudy"
    asked: "TextSchedules"
    model: "TextModel"
    text: JudgedText
    planes: "list[EnergyPlane]"
    pairs: "list[SchedulePair]"
    laws: "list[ToyLaw]"
    seed: int

    def __str__(self) -> str:
        num, model = len(self.verification.checks), self.model
        return (
            f"{num - len(self.verification.failed)} of {num} checks passed\n"
            f"the bundled model: {model.bits_per_byte:.3f} +- {model.standard_error:.3f} bits per byte of "
            f"{self.text.name} (byte frequencies {model.unigram_bits_per_byte:.3f})"
        )

    def __repr__(self) -> str:
        return f"Findings({'; '.join(str(self).splitlines())})"

    def to_json(self) -> dict[str, Any]:
        """What report.json holds, but for the time that it took."""
        asked, optima = self.asked, self.optima
        content = {
            "which_decoder": {
                "chain": _decoders(self.decoders.chain),
                "text": _decoders(self.decoders.text),
            },
            "verify": self.verification.to_json(),
            "data_to_schedule": {
                "sticky_chains": [
                    row._asdict() | {"best_beta": row.best_beta._asdict()} for row in self.chains
                ],
                "chain": _study(self.chain.study, self.chain.saving)
                | {"profile": self.chain.profile.to_json()},
                "text": _study(asked.study, asked.saving)
                | {
                    "profile": asked.profile.to_json(),
                    "held_out_path_kl": asked.path_kl,
                    "standard_error": asked.standard_error,
                    "gain": asked.gain.nats,
                    "gain_error": asked.gain_error,
                    "gain_interval": asked.gain.interval,
                    "gain_is_told": asked.gain.is_told,
                    "gain_verdict": asked.gain.verdict,
                },
            },
            "learned_optima": {
                "before": optima.before.distance,
                "after": optima.after.distance,
                "samples": optima.samples,
                "sampled": [found.distance for found in optima.sampled],
                "decay": optima.decay,
            },
            "energy_planes": [plane._asdict() for plane in self.planes],
            "schedule_pairs": [pair._asdict() for pair in self.pairs],
            "toy_laws": [
                law._asdict() | {"sampled": [row._asdict() for row in law.sampled]} for law in self.laws
            ],
            "text_model": self.model._asdict()
            | {
                "samples": [sample._asdict() for sample in self.model.samples],
                "source": self.text.name,
                "provenance": self.text.model.provenance,
            },
            "seed": self.seed,
        }
        return {name: jsonable(value) for name, value in content.items()}


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


def findings(text: JudgedText, *, seed: int = 0, show: Show | None = None) -> Findings:
    """Compares decoders, finds schedules for data, checks the theory and computes the paper's figures.

    Args:
      text: The model and what it is shown.
      seed: Of the masks and the samples.
      show: Called as each part ends.
    """
    from mdmot.checks.learned import learned_optima
    from mdmot.experiments.data_to_schedule import chain_study, sticky_chains
    from mdmot.experiments.energy_plane import energy_planes, schedule_pairs
    from mdmot.experiments.text_model import text_model
    from mdmot.experiments.text_schedules import text_schedules
    from mdmot.experiments.toy_laws import toy_laws
    from mdmot.experiments.which_decoder import TEXT_DECODERS, which_decoder

    with computing_in("float64"):
        advance = counted(show, "which decoder", 1 + len(TEXT_DECODERS))
        decoders = which_decoder(seed, text.model, text.tokens, advance)
        advance = counted(show, "from data to schedule", 3)
        chains, chain = sticky_chains(), chain_study()
        advance("chains")
        asked = text_schedules(seed, text.model, text.tokens)
        advance("text")
        model = text_model(seed, text.model, text.tokens, text.usual)
        advance("samples")
        return Findings(
            decoders=decoders,
            verification=verify("float64", show=show),
            optima=learned_optima(),
            chains=chains,
            chain=chain,
            asked=asked,
            model=model,
            text=text,
            planes=energy_planes(),
            pairs=schedule_pairs(),
            laws=toy_laws(),
            seed=seed,
        )


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
