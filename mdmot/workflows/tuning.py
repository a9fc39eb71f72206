"""`mdmot.tune`: the best steps for a data set and a budget."""

import contextlib
import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from mdmot.errors import InputError
from mdmot.provenance import versions
from mdmot.workflows import profiling
from mdmot.workflows.naming import BUNDLED, Name, load_masked, precision_of
from mdmot.workflows.order_tuning import OrderTuned, refuse_with_order, tune_orders
from mdmot.workflows.ordering import order_tables
from mdmot.workflows.precision import computing_in
from mdmot.workflows.progress import Show, Tell, silent
from mdmot.workflows.searching import asked
from mdmot.workflows.tuned import Tuned
from mdmot.workflows.weights import asked_dtype, refuse_dtype

if TYPE_CHECKING:
    import numpy as np
    from jax import Array

    from mdmot.information import OrderTable, Profile, ProfileLike
    from mdmot.model import Model
    from mdmot.models import Named
    from mdmot.orders import Order
    from mdmot.plans import Plan, RevealKind


@overload
def tune(
    of: "Name | Model | Named | Profile | ProfileLike" = None,
    data: "str | os.PathLike[str] | np.ndarray | Array | None" = None,
    steps: int = 32,
    *,
    reveal: "RevealKind | None" = None,
    force: bool = False,
    profile: "Profile | None" = None,
    trials: int | None = None,
    task: str | None = None,
    storage: str | os.PathLike[str] | None = None,
    seed: int = 0,
    show: Show | None = None,
    tell: Tell = silent,
) -> Tuned: ...


@overload
def tune(
    of: Name = None,
    data: None = None,
    steps: int = 32,
    *,
    order: "str | Order | Sequence[OrderTable]",
    reveal: "RevealKind | None" = None,
    force: bool = False,
    profile: None = None,
    trials: None = None,
    task: None = None,
    storage: None = None,
    seed: int = 0,
    show: Show | None = None,
    tell: Tell = silent,
) -> OrderTuned: ...


def tune(
    of: "Name | Model | Named | Profile | ProfileLike" = None,
    data: "str | os.PathLike[str] | np.ndarray | Array | None" = None,
    steps: int = 32,
    *,
    order: "str | Order | Sequence[OrderTable] | None" = None,
    reveal: "RevealKind | None" = None,
    force: bool = False,
    profile: "Profile | None" = None,
    trials: int | None = None,
    task: str | None = None,
    storage: str | os.PathLike[str] | None = None,
    seed: int = 0,
    show: Show | None = None,
    tell: Tell = silent,
) -> Tuned | OrderTuned:
    """Finds the steps that lose least, for a data set and a number of steps.

    The information profile predicts what is lost by revealing several tokens at the same time, in random
    order: the expected divergence of the samples, in nats a sequence. The optimal plan is its exact
    minimum. An optimum fitted to noise looks better than it is: for a measured profile, the gain over as
    many linear steps is taken from plans that were fitted to one half of the sequences and judged on the
    other, and if it is within its error, linear steps are taken.

    With an order, what steps along it lose takes the place of the profile (`mdmot.order_tables`): the
    best plan that stops at measured levels, even steps where its held-out gain is within its error, and of
    several orders the one that loses least on the same sequences, random order unless another is told to
    be better.

    Args:
      of: What is sampled: a model, a law or a test bed, as `mdmot.load` takes it, whose profile is measured
        first as `mdmot.profile` does; the .json file of a saved profile; or a profile itself, of any kind.
        None for the model that comes with mdmot, which brings its profile. Or a model in memory, a
        `mdmot.Model` or what `mdmot.load` returned, with data.
      data: What a model is measured on: the path of a text, or clean tokens [sequences, length]; None for
        what `mdmot.profile` takes for its name.
      steps: Number of sampling steps.
      order: Order of the positions: an order, what `mdmot.orders.parse_order` reads, "best" of some, or the
        tables of orders that were measured already. None for random order, by the profile.
      reveal: `mdmot.plans.Bernoulli`, each token by chance, or `mdmot.plans.Fixed`, a fixed number a step;
        None for that.
      force: Whether to take the optimal plan even where its gain is within its error or unknown.
      profile: The profile of what is named, if it is known already.
      trials: Number of trials of a search among Beta schedules by samples, from the plan on; None for no
        search. Finished trials are kept; the same call goes on.
      task: What samples of the search are scored by, a name of `mdmot.workflows.tasks.TASKS`; None for
        "legal", of a law.
      storage: Database of the trials, a file or a URL; None for mdmot-tune.db in this folder.
      seed: Seed of all draws.
      show: Called as batches of the measurement and trials end.
      tell: Called with lines on what long work will take and what was decided.

    Returns:
      The plan, what it was made from and what it is compared with; with an order an `OrderTuned`.

    Raises:
      InputError: If the name or the options do not fit.

    Example:
      >>> tune("markov:states=2,length=8", steps=2)
      Tuned(2 steps of 8 tokens, fixed reveals, optimal: 0.4966 nats lost, linear 1.858; better than linear)
      >>> tune([0.7, 0.3, 0.1], steps=2).plan.counts
      (1, 2)
    """
    if isinstance(data, int):
        raise InputError(f"data = {data} is a number; pass the number of steps as steps={data}")
    if order is not None:
        if data is not None:
            raise InputError("data are of a profile; pass order=mdmot.order_tables(...) for an order")
        refuse_with_order(reveal, trials, task, storage, profile)
        return tune_orders(_tables_of(of, order, steps, seed, show, tell), steps, force=force, seed=seed)
    name = of if of is None or isinstance(of, str | os.PathLike) else None
    if trials is not None and of is not name:
        raise InputError("trials sample what a profile is of; pass its name, and the profile as profile=")
    search = asked(name, trials, task, storage, None if profile is None else profile.length)
    is_shipped = of is None and profile is None and data is None
    if profile is None:
        profile = _profile_of(of, data, seed, show, tell)
    with computing_in("float64"):
        from mdmot import tuning
        from mdmot.plans import Fixed

        found = tuning.tune(profile, steps, Fixed if reveal is None else reveal)
        is_optimal = force or found.gain.is_told
        plan = found.plan if is_optimal else found.linear
    searched = None
    if search is not None:
        paper = (found.paper_grid.a, found.paper_grid.b)
        searched = search.run(plan, paper, seed, show, tell)
        if searched.is_kept:
            with computing_in("float64"):
                plan = _judged(searched.result.plan(plan.length, type(plan.reveal)), profile)
    if is_shipped:
        tell(f"planned by the profile that came with {BUNDLED}; --text, --length or --draws measures anew")
    plan = dataclasses.replace(plan, provenance=_provenance(profile, seed))
    return Tuned(plan, is_optimal, found, profile, searched)


def _tables_of(
    of: Any,
    order: "str | Order | Sequence[OrderTable]",
    steps: int,
    seed: int,
    show: Show | None,
    tell: Tell,
) -> "Sequence[OrderTable]":
    """The tables of the orders that are asked for."""
    from mdmot.orders import Order

    if not isinstance(order, str | Order):
        return order
    if not (of is None or isinstance(of, str | os.PathLike)):
        raise InputError(
            "a profile knows random order only; name the model or the law, or leave out the order"
        )
    return order_tables(of, order, steps, seed=seed, show=show, tell=tell)


def _profile_of(of: Any, data: Any, seed: int, show: Show | None, tell: Tell) -> "Profile":
    """The profile of what is named or a model; all else is taken for a profile itself."""
    from mdmot.information import Estimate, Profile, estimated_profile, exact_profile, read_profile
    from mdmot.information.profile_like import numbers_of
    from mdmot.model import Model
    from mdmot.models import Named

    is_named = of is None or isinstance(of, str | os.PathLike)
    if isinstance(of, Named) and of.law is not None and data is None:
        return profiling.profile(of.law.spec, seed=seed, show=show, tell=tell)
    if isinstance(of, Model | Named) or (is_named and _is_rows(data)):
        from mdmot.workflows.modelled import profile_of_model

        with computing_in(precision_of(of)) if is_named else contextlib.nullcontext():
            return profile_of_model(
                load_masked(of, "tune takes masked models") if is_named else of, data, seed, show
            )
    if data is not None:
        if not is_named:
            raise InputError("a profile is of data already; leave data out")
        return profiling.profile(of, text=data, seed=seed, show=show, tell=tell)
    if isinstance(of, Profile):
        return of
    if isinstance(of, Estimate):
        return estimated_profile(of)
    if of is None:
        refuse_dtype(asked_dtype(), "the profile of the bundled model")
        from mdmot.models import bundled_profile

        return read_profile(bundled_profile())
    if isinstance(of, str | os.PathLike):
        return profiling.profile(of, seed=seed, show=show, tell=tell)
    return exact_profile(numbers_of(of))


def _is_rows(data: Any) -> bool:
    return data is not None and not isinstance(data, str | os.PathLike)


def _judged(plan: "Plan", profile: "Profile") -> "Plan":
    """The plan with the loss that the profile predicts."""
    from mdmot.plans import predicted_plan

    return predicted_plan(profile.fitted, plan.reveal)


def _provenance(profile: "Profile", seed: int) -> Mapping[str, Any]:
    return {
        "command": "mdmot tune",
        "seed": seed,
        "versions": versions(),
        "profile": profile.provenance,
    }
