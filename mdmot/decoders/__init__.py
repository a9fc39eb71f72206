"""Decoders by name, measured by their exact likelihood, compared, and chosen for a budget or a target."""

from mdmot.decoders.adaptive import FAMILIES, Family, Scale
from mdmot.decoders.agreeing import Agreement, Decoded, agreement, decode
from mdmot.decoders.calibrating import Calibrated, calibrate
from mdmot.decoders.choosing import (
    Cheapest,
    cheapest,
    equivalent_random_steps,
    is_better,
    pareto_front,
    random_curve,
)
from mdmot.decoders.decoder import Decoder, Run
from mdmot.decoders.kinds import Adaptive, InOrder, Surest
from mdmot.decoders.measured import Mean, Measured, impossible_difference, paired_difference
from mdmot.decoders.measuring import measure
from mdmot.decoders.names import parse_decoder
from mdmot.decoders.sequences import Sequences, law_sequences

__all__ = [  # noqa: RUF022 by what they are for
    # decoders by name
    "parse_decoder",
    "Decoder",
    "InOrder",
    "Surest",
    "Adaptive",
    "Run",
    "FAMILIES",
    "Family",
    "Scale",
    # what they lose
    "Sequences",
    "law_sequences",
    "measure",
    "Measured",
    "Mean",
    "paired_difference",
    "impossible_difference",
    "calibrate",
    "Calibrated",
    # which of them
    "pareto_front",
    "is_better",
    "cheapest",
    "Cheapest",
    "equivalent_random_steps",
    "random_curve",
    # temperature 0
    "decode",
    "Decoded",
    "agreement",
    "Agreement",
]
