"""The incomplete beta function, its inverse and the binomial distribution, with every derivative."""

from mdmot.special._binomial import binomial_pmf as binomial_pmf
from mdmot.special._incomplete import betainc as betainc
from mdmot.special._incomplete import betainc_logit as betainc_logit
from mdmot.special._inverse import betaincinv as betaincinv
from mdmot.special._inverse import betaincinv_logit as betaincinv_logit
from mdmot.special._log_beta import betaln as betaln
from mdmot.special._tails import log_betainc as log_betainc
