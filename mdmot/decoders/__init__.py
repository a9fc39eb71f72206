"""Decoders by name, measured by their exact likelihood, compared, and chosen for a budget or a target."""

from mdmot.decoders.adaptive import FAMILIES, Family, Scale
from mdmot.decoders.decoder import Adaptive, Decoder, InOrder, Run, Surest
from mdmot.decoders.measured import Mean, Measured, paired_difference
from mdmot.decoders.measuring import measure
from mdmot.decoders.names import parse_decoder
from mdmot.decoders.sequences import Sequences, law_sequences

__all__ = [
    "FAMILIES",
    "Adaptive",
    "Decoder",
    "Family",
    "InOrder",
    "Mean",
    "Measured",
    "Run",
    "Scale",
    "Sequences",
    "Surest",
    "law_sequences",
    "measure",
    "paired_difference",
    "parse_decoder",
]
