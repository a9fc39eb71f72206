"""Denoisers from functions: the time as an argument, heads apart, guidance, shifts, impossible tokens."""

from mdmot.denoisers.guidance import Guided, GuidedDenoiser
from mdmot.denoisers.reading import HasLogitsAt, LogitsAt, bind, calls_of, has_head_apart
from mdmot.denoisers.split import SplitDenoiser
from mdmot.denoisers.timed import ReadsTime, Timed, reads_time
from mdmot.denoisers.wrapped import Renamed, ShiftedDenoiser, WithoutToken, Wrapped, is_impossible

__all__ = [
    "Guided",
    "GuidedDenoiser",
    "HasLogitsAt",
    "LogitsAt",
    "ReadsTime",
    "Renamed",
    "ShiftedDenoiser",
    "SplitDenoiser",
    "Timed",
    "WithoutToken",
    "Wrapped",
    "bind",
    "calls_of",
    "has_head_apart",
    "is_impossible",
    "reads_time",
]
