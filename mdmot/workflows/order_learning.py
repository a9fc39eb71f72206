"""`mdmot.learn_order`: an order and its steps, learned from the best known order on."""

import dataclasses
import math
import os
import pathlib
import time
from typing import TYPE_CHECKING, Any, Literal

from mdmot.errors import InputError
from mdmot.files import prepare_folder
from mdmot.provenance import jsonable, versions
from mdmot.workflows.long_work import announce, measuring
from mdmot.workflows.measured_rows import Source, sequences
from mdmot.workflows.naming import Name, load_to_read, precision_of
from mdmot.workflows.order_tuning import OrderTuned, tune_orders
from mdmot.workflows.ordering import BEST, order_tables
from mdmot.workflows.precision import computing_in
from mdmot.workflows.progress import Show, Tell, silent

if TYPE_CHECKING:
    import numpy as np

    from mdmot.information import Scorer
    from mdmot.partitions import LearnedPartition
    from mdmot.plans import Plan
    from mdmot.tuning import OrderTuning

LEARNED = "learned"
"""The name of an order that is learned."""

EVALUATIONS, SEQUENCES, ROWS_AT_ONCE = 4000, 1000, 32
"""Of a search: how long it is, what it searches on and is judged by, and what it looks at in one step."""


@dataclasses.dataclass(frozen=True, repr=False)
class OrderLearned:
    """A learned order with its steps, and the known order that it was learned from.

    Attributes:
      plan: The steps to take, with their order: the learned ones where they are told to be better.
      start: The best of the known orders, from whose plan the search began.
      learned: What the search found, and what it gains on sequences that it has not seen.
    """

    plan: "Plan"
    start: OrderTuned
    learned: "LearnedPartition"

    def __repr__(self) -> str:
        found = self.learned
        return (
            f"OrderLearned({self.plan.steps} steps of {self.plan.length} tokens: {found.start_loss:.4g} "
            f"nats {self.start.unit} in order {found.start.order.name}, learned {found.gain:.4g} +- "
            f"{found.standard_error:.2g} less; {found.verdict})"
        )

    @property
    def kept(self) -> Literal["learned", "optimal", "linear"]:
        """What the plan is: the learned one, or the start's optimal or even one."""
        return "learned" if self.learned.is_told else self.start.kept

    @property
    def taken(self) -> "OrderTuning":
        """The order that the search began from, with its table."""
        return self.start.taken

    def to_json(self) -> dict[str, Any]:
        """The object that `mdmot tune --order learned --json` prints, but for the seed."""
        from mdmot.orders import order_as_json

        known = self.start.to_json()
        names = ("counts", "alpha", "path_kl", "gamma")
        content: dict[str, Any] = {name: getattr(self.plan, name) for name in names}
        content |= {"order": order_as_json(self.plan.order), "plan": self.kept}
        if self.learned.is_told:
            loss, error = self.learned.learned_loss, self.learned.learned_error
            bits = None if self.start.is_of_law else loss / self.plan.length / math.log(2)
            content["loss"] = known["loss"] | {
                "nats": loss,
                "standard_error": error,
                "bits_per_token": bits,
            }
        content["learned"] = self.learned.to_json() | {"start": {n: known[n] for n in ("order", "counts")}}
        return known | {name: jsonable(value) for name, value in content.items()}

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes the plan, for samplers.

        Raises:
          InputError: If it cannot be written.
        """
        from mdmot.plans import write_plan

        write_plan(pathlib.Path(path), self.plan)


def learn_order(
    name: Name = None,
    steps: int = 8,
    *,
    evaluations: int | None = None,
    text: str | os.PathLike[str] | None = None,
    records: str | os.PathLike[str] | None = None,
    prompt_column: str | None = None,
    end: str | None = None,
    chat: bool = False,
    length: int | None = None,
    levels: int | None = None,
    draws: int | None = None,
    batch: int | None = None,
    estimate: bool = False,
    kept: str | os.PathLike[str] | None = None,
    force: bool = False,
    seed: int = 0,
    show: Show | None = None,
    tell: Tell = silent,
) -> OrderLearned:
    """Learns which positions to reveal in which step, from the best known order's plan on.

    For data whose positions mean something: equations, tables, templates, aligned proteins. The search is
    that of `mdmot.partitions.learn_partition`, on sequences of their own, half of which judge.

    Args:
      name: Model, law or test bed, as `mdmot.load` takes it.
      steps: Number of sampling steps.
      evaluations: How long to search, in network calls that are not remembered; None for 4000.
      text: As for `mdmot.profile`, and so are `length`, `levels` and `estimate`.
      records: One example a record, instead of a text.
      prompt_column: Column of what is given, for which no order is learned.
      end: Text of the token that ends a text.
      chat: Whether the prompts are questions for the chat template of the model.
      length: Tokens of a sequence; None for the model's.
      levels: How many numbers of known tokens the known orders are measured at.
      draws: Sequences to learn from and to judge by; None for 1000.
      batch: Sequences in a network call of the search; None for 32, fewer for a large model.
      estimate: Whether to measure the known orders of a law even if they are known exactly.
      kept: File where the state of the measurement is kept, and beside it that of the search; the same
        call goes on from them.
      force: Whether to begin from an order's fitted plan even where its gain is within its error.
      seed: Seed of all draws.
      show: Called as batches end.
      tell: Called with the time that a long search will take, before it begins.

    Returns:
      The plan to take, the start and what was learned.

    Raises:
      InputError: If the name, the text or an option does not fit.

    Example:
      >>> learned = learn_order("ngram:length=8", 2, evaluations=200, draws=200)
      >>> len(learned.learned.steps), learned.learned.rows
      (2, 100)
    """
    state = None if kept is None else pathlib.Path(kept)
    named = load_to_read(name, "orders are learned for masked models", chat=chat)
    # A law's tables are computed, or measured on as many sequences as usual.
    of_tables = draws if named.law is None else None
    source = Source(text, records, prompt_column, end, chat)
    options = source._asdict() | {"length": length, "levels": levels, "estimate": estimate}
    watched: dict[str, Any] = {"seed": seed, "show": show, "tell": tell}
    tables = order_tables(name, BEST, steps, **options, draws=of_tables, kept=state, **watched)
    start = tune_orders(tables, steps, force=force, seed=seed)
    with computing_in(precision_of(name)):
        from mdmot.information import jax_scorer
        from mdmot.information.estimate import Forecast
        from mdmot.partitions import learn_partition

        # Not those that the tables were measured on.
        read = sequences(name, named, source, length, draws or SEQUENCES, seed + 1)
        if read.given is not None:
            raise InputError("an order is learned of whole sequences, and prompts are given; name an order")
        data, described = read.tokens, read.described
        scorer, rows = jax_scorer(named.model), batch or named.rows_at_once(ROWS_AT_ONCE)
        number = EVALUATIONS if evaluations is None else evaluations
        place = None if state is None else search_state(state)
        if place is not None:
            prepare_folder(place.parent)
        seconds = number * _seconds(scorer, data[:rows])
        forecast = Forecast(seconds, 0.0, number, None, None)
        announce("learned order", number * rows, data.shape[1], forecast, place, tell)
        with measuring("learned order", number, place, show, tell) as report:
            found = learn_partition(
                seed,
                scorer,
                data,
                start.plan,
                evaluations=number,
                batch_size=rows,
                log_prob=None if named.law is None else named.log_prob(data),
                resume_file=place,
                progress=report,
            )
    return OrderLearned(_plan(found, start, described, seed), start, found)


def search_state(state: pathlib.Path) -> pathlib.Path:
    """Where the state of the search is kept, beside that of the measurement before it."""
    return state.with_name(f"{state.name}.search")


def _seconds(scorer: "Scorer", rows: "np.ndarray") -> float:
    """Of a network call, after one that compiles."""
    import numpy as np

    masked, seconds = np.full(rows.shape, scorer.mask_id), 0.0
    for _ in range(2):
        begun = time.perf_counter()
        scorer(masked, rows)
        seconds = time.perf_counter() - begun
    return seconds


def _plan(found: "LearnedPartition", start: OrderTuned, data: Any, seed: int) -> "Plan":
    """The plan to take, and where it comes from."""
    if not found.is_told:
        return start.plan
    provenance = {
        "command": "mdmot tune --order learned",
        "seed": seed,
        "versions": versions(),
        "data": data,
        "learned": found.to_json(),
        "start": {"order": start.order.name, "counts": start.plan.counts},
    }
    known = max(found.learned_loss, 0.0) if start.is_of_law else None
    return dataclasses.replace(found.learned, path_kl=known, provenance=provenance)
