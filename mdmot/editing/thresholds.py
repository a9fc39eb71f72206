"""How probable a control must be to be taken."""

import math
from typing import NamedTuple

from mdmot.errors import InputError


class Thresholds(NamedTuple):
    """Probabilities above which the controls are taken, each above 0 and below 1.

    Attributes:
      remask: Of a remask.
      insert: Of an insertion.
      delete: Of a deletion.
    """

    remask: float = 0.5
    insert: float = 0.5
    delete: float = 0.5

    def log_odds(self) -> "Thresholds":
        """The same as log-odds, as networks give them.

        Raises:
          InputError: If a threshold is no probability above 0 and below 1.

        Example:
          >>> Thresholds().log_odds()
          Thresholds(remask=0.0, insert=0.0, delete=0.0)
        """
        for name, p in self._asdict().items():
            if not 0 < p < 1:
                raise InputError(f"threshold of {name} = {p}; pass a number above 0 and below 1")
        return Thresholds(*(math.log(p) - math.log1p(-p) for p in self))


HALF = Thresholds()
"""What is more probable than not is done."""
