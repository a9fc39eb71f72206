"""The incomplete beta function and its inverse, with every derivative, in and out of log space."""

from mdmot.special._incomplete import betainc as betainc
from mdmot.special._incomplete import betainc_logit as betainc_logit
from mdmot.special._inverse import betaincinv as betaincinv
from mdmot.special._inverse import betaincinv_logit as betaincinv_logit
from mdmot.special._log_beta import betaln as betaln
from mdmot.special._tails import log_betainc as log_betainc
