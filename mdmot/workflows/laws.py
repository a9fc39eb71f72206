"""`mdmot.law`: what a K-step sampler makes of a law, exactly."""

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mdmot.errors import InputError
from mdmot.provenance import jsonable
from mdmot.workflows.precision import computing_in, without_rounding
from mdmot.workflows.progress import Show, Tell, counted, silent

if TYPE_CHECKING:
    from mdmot.distributions import Tabular
    from mdmot.plans import Plan, Reveal, RevealKind
    from mdmot.schedules import MaskSchedule

BATCH_TERMS = 3 * 10**8
"""Terms between two signs of progress: about two seconds' work."""


@dataclasses.dataclass(frozen=True, repr=False)
class ExactLaw:
    """How far the law q of a sampler that knows the exact conditionals is from its target p, in nats.

    Attributes:
      length: Tokens of a sequence.
      vocabulary: Number of clean tokens.
      support: Sequences that have a probability.
      alpha: P(unmasked) before the first step, between steps and after the last.
      reveal: How the steps reveal tokens.
      legal_mass: q(support of p).
      total_variation: Half the L1 distance of p and q.
      kl: KL(p||q); inf where q misses a sequence of the support.
      path_kl: Expected KL given the order of reveals, never less than `kl`.
      entropy: H(p).
      information_profile: h_0, ..., h_{n-1} of p.
    """

    length: int
    vocabulary: int
    support: int
    alpha: tuple[float, ...]
    reveal: "Reveal"
    legal_mass: float
    total_variation: float
    kl: float
    path_kl: float
    entropy: float
    information_profile: tuple[float, ...]

    @property
    def steps(self) -> int:
        """Number of steps."""
        return len(self.alpha) - 1

    @property
    def counts(self) -> tuple[int, ...] | None:
        """Tokens revealed a step; None for Bernoulli reveals."""
        return self.reveal.counts

    def __repr__(self) -> str:
        return (
            f"ExactLaw({self.steps} steps of {self.length} tokens, {self.reveal.name} reveals: legal mass "
            f"{self.legal_mass:.4g}, total variation {self.total_variation:.4g}, KL {self.kl:.4g})"
        )

    def to_json(self) -> dict[str, Any]:
        """The object that `mdmot law --json` prints, but for the seed."""
        content = {
            "length": self.length,
            "vocabulary": self.vocabulary,
            "support": self.support,
            "steps": self.steps,
            "reveal": self.reveal.name,
            "alpha": self.alpha,
            "counts": self.counts,
            "legal_mass": self.legal_mass,
            "total_variation": self.total_variation,
            "kl": self.kl,
            "path_kl": self.path_kl,
            "entropy": self.entropy,
            "information_profile": self.information_profile,
        }
        return {name: jsonable(value) for name, value in content.items()}


def law(
    name: str | os.PathLike[str],
    schedule: "MaskSchedule | Plan",
    steps: int | None = None,
    *,
    reveal: "RevealKind | None" = None,
    show: Show | None = None,
    tell: Tell = silent,
) -> ExactLaw:
    """How far the K-step parallel sampler is from a law, exactly, in double precision.

    The sampler knows the exact conditionals of the law, so that all of its error comes from revealing
    tokens in parallel.

    Args:
      name: Law file or test bed, as markov:stay=.9,states=2,length=8.
      schedule: Mask schedule, or a plan, which is stretched to the length of the sequences.
      steps: Number of sampling steps; None for a plan's.
      reveal: `mdmot.plans.Bernoulli`, each token by chance, or `mdmot.plans.Fixed`, a fixed number a step;
        None for a plan's own, or else the latter, as in `mdmot.tune`.
      show: Called as parts of the computation end.
      tell: Called with a line where a plan is stretched.

    Returns:
      The distances, with the steps and the law's information profile.

    Raises:
      InputError: If there is no such law, it is too large for an exact computation, or the plan does not
        fit.

    Example:
      >>> from mdmot.schedules import masks
      >>> law("permutations:length=4", masks.linear(), 2)
      ExactLaw(2 steps of 4 tokens, fixed reveals: legal mass 0.375, total variation 0.625, KL 0.9808)
    """
    (found,) = laws(name, [schedule], steps, reveal=reveal, show=show, tell=tell)
    return found


def laws(
    name: str | os.PathLike[str],
    schedules: "Sequence[MaskSchedule | Plan]",
    steps: int | None = None,
    *,
    reveal: "RevealKind | None" = None,
    show: Show | None = None,
    tell: Tell = silent,
) -> "Iterator[ExactLaw]":
    """The same for several schedules, as they are computed; what they have in common is computed once.

    Args:
      name: As `law` takes it.
      schedules: Mask schedules and plans.
      steps: Number of sampling steps of all; None for those of each plan, which schedules that are no plans
        share if all plans have as many.
      reveal: As `law` takes it.
      show: Called as parts of the computation end.
      tell: Called with a line for each plan that is stretched.

    Yields:
      The distances of each schedule.

    Raises:
      InputError: As `law`, before anything is computed; and if plans of several numbers of steps leave open
        how many a schedule has.

    Example:
      >>> from mdmot.schedules import masks
      >>> for found in laws("permutations:length=4", [masks.linear(), masks.sine()], 2):
      ...     print(found.counts, round(found.kl, 4))
      (2, 2) 0.9808
      (3, 1) 0.9808
    """
    with computing_in("float64"):
        from mdmot import exact_law, information
        from mdmot.distributions import entropy, read_law

        target = read_law(str(name))
        length = target.length
        numbers = [_number_of(schedule, steps, schedules) for schedule in schedules]
        for number in numbers:
            exact_law.require_feasible(length, number)
        table = target.table()
        taken = [
            _steps(schedule, number, length, reveal, tell)
            for schedule, number in zip(schedules, numbers, strict=True)
        ]
        support = len(table.sequences)
        # As even as can be: every size is compiled apart.
        parts = [-(-support * 3**length * number // BATCH_TERMS) for number in numbers]
        advance = counted(show, "law", 1 + sum(-(-support // -(-support // each)) for each in parts))
        h = information.information_profile(table).block_until_ready()
        advance("information profile")
        nats = float(entropy(table))
    for (alpha, reveals), each in zip(taken, parts, strict=True):
        with computing_in("float64"):
            found = _distances(table, target.vocab_size, reveals, -(-support // each), h, advance)
        yield ExactLaw(
            length=length,
            vocabulary=target.vocab_size,
            support=support,
            alpha=alpha,
            reveal=reveals,
            entropy=_not_negative(nats),
            information_profile=without_rounding(h.tolist(), nats),
            **found,
        )


def _distances(
    table: "Tabular",
    vocab_size: int,
    reveals: "Reveal",
    size: int,
    h: Any,
    advance: "Callable[[str], None]",
) -> dict[str, float]:
    """The distances of what steps make of a law, its sequences in batches of a size."""
    import jax.numpy as jnp

    from mdmot import exact_law

    parts = []
    for first in range(0, len(table.sequences), size):
        sequences = table.sequences[first : first + size]
        parts.append(reveals.law(table, vocab_size, sequences).block_until_ready())
        advance("sequences")
    found = exact_law.sampler_law(table, jnp.concatenate(parts), reveals.path_kl(h))
    return {
        "legal_mass": float(found.legal_mass),
        "total_variation": _not_negative(found.total_variation),
        "kl": _not_negative(found.kl),
        "path_kl": _not_negative(found.path_kl),
    }


def _number_of(
    schedule: "MaskSchedule | Plan", steps: int | None, schedules: "Sequence[MaskSchedule | Plan]"
) -> int:
    """Number of steps; of a plan, its own unless another is given; else that of all plans beside it."""
    from mdmot.plans import Plan

    if steps is not None:
        return steps
    if isinstance(schedule, Plan):
        return schedule.steps
    known = {each.steps for each in schedules if isinstance(each, Plan)}
    if len(known) == 1:
        return known.pop()
    if known:
        raise InputError(
            f"the plans have {sorted(known)} steps, and a schedule none; pass the steps, as steps=K"
        )
    raise InputError("the schedule does not say how many steps; pass steps=K")


def _steps(
    schedule: "MaskSchedule | Plan", steps: int, length: int, reveal: "RevealKind | None", tell: Tell
) -> "tuple[tuple[float, ...], Reveal]":
    """The alphas of the steps, and how they reveal tokens."""
    from mdmot.plans import Fixed, Plan, assert_random_order
    from mdmot.schedules import step_grid

    if isinstance(schedule, Plan):
        assert_random_order(schedule, "the law is that of")
        if schedule.steps != steps:
            raise InputError(
                f"the plan has {schedule.steps} steps, and {steps} are asked for; leave the number out, or "
                f"tune a plan of {steps}"
            )
        if (note := schedule.stretched_note(length)) is not None:
            tell(f"note: {note}")
            schedule = schedule.for_length(length)
        grid, kind = schedule.grid(), reveal or type(schedule.reveal)
    else:
        grid, kind = step_grid(schedule, steps), reveal or Fixed
    return tuple(grid.alpha.tolist()), kind.from_alpha(grid.alpha, length)


def _not_negative(value: Any) -> float:
    """0 for -0 and for what rounding leaves below it."""
    return 0.0 if value <= 0 else float(value)
