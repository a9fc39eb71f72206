"""The incomplete beta function, its inverse and the binomial distribution, with every derivative."""

from mdmot.special._binomial import binomial_pmf
from mdmot.special._incomplete import betainc, betainc_logit
from mdmot.special._inverse import betaincinv, betaincinv_logit
from mdmot.special._log_beta import betaln
from mdmot.special._tails import log_betainc

__all__ = [
    "betainc",
    "betainc_logit",
    "betaincinv",
    "betaincinv_logit",
    "betaln",
    "binomial_pmf",
    "log_betainc",
]
