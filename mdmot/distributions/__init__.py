"""Laws over token sequences whose conditionals are known exactly, and the denoisers they make."""

from mdmot.distributions.lawfile import LawFile as LawFile
from mdmot.distributions.lawfile import read_law as read_law
from mdmot.distributions.subsets import mean_by_size as mean_by_size
from mdmot.distributions.subsets import subset_conditionals as subset_conditionals
from mdmot.distributions.subsets import subset_probabilities as subset_probabilities
from mdmot.distributions.tabular import Tabular as Tabular
from mdmot.distributions.tabular import dense as dense
from mdmot.distributions.tabular import entropy as entropy
from mdmot.distributions.tabular import log_prob as log_prob
from mdmot.distributions.tabular import posterior_marginals as posterior_marginals
from mdmot.distributions.tabular import sample as sample
from mdmot.distributions.tabular import tabular as tabular
from mdmot.distributions.tabular import tabular_denoiser as tabular_denoiser
from mdmot.distributions.tabular import uniform_over as uniform_over
