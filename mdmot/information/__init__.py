"""Information profile of a law, and the factorisation error that a plan of reveals has under it."""

from mdmot.information.curve import profile_curve as profile_curve
from mdmot.information.error import bernoulli_path_kl as bernoulli_path_kl
from mdmot.information.error import dual_total_correlation as dual_total_correlation
from mdmot.information.error import fixed_path_kl as fixed_path_kl
from mdmot.information.error import total_correlation as total_correlation
from mdmot.information.exact import information_profile as information_profile
from mdmot.information.exact import subset_entropies as subset_entropies
