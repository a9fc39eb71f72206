"""A decoder: which positions a step reveals and how many, by a name, at any number of steps."""

import dataclasses
from typing import NamedTuple

import numpy as np

from mdmot.arguments import whole
from mdmot.decoders.adaptive import DRAWN
from mdmot.decoders.kinds import Adaptive, InOrder, Kind, Surest
from mdmot.errors import InputError
from mdmot.information import OrderTable
from mdmot.orders import RandomOrder
from mdmot.plans import Fixed, Plan, cheapest_counts, even_counts
from mdmot.samplers import Choice, Rule, SemiAutoregressive
from mdmot.schedules import StepGrid
from mdmot.schedules.grids import grid_from_alpha


class Run(NamedTuple):
    """A decoder at some number of steps: what `mdmot.sample` and `mdmot.log_likelihood` take.

    Attributes:
      rule: The rule.
      steps: The plan of the masked positions, in blocks that of each block; a grid if rows have different
        numbers of them; None if the rule finds its own steps.
      is_random: Whether the rule draws anything but tokens.
    """

    rule: Rule | SemiAutoregressive
    steps: Plan | StepGrid | None
    is_random: bool = True

    @property
    def grid(self) -> StepGrid | None:
        """The steps, for any rule."""
        return self.steps.grid() if isinstance(self.steps, Plan) else self.steps

    @property
    def counts(self) -> tuple[int, ...] | None:
        """Positions revealed a step, in blocks a step of each; None if rows or the network decide."""
        return self.steps.counts if isinstance(self.steps, Plan) else None


@dataclasses.dataclass(frozen=True)
class Decoder:
    """A decoder, by `parse_decoder` or by its parts.

    Attributes:
      kind: `InOrder`, `Surest` or `Adaptive`.
      block: Positions of the blocks that are decoded from left to right; None for none.

    Raises:
      InputError: If blocks have no positions, or are to follow a plan that was made for the whole.

    Example:
      >>> from mdmot.decoders import parse_decoder
      >>> decoder = parse_decoder("bisection@block:8")
      >>> decoder.name, decoder.at(4, num_masked=16).counts
      ('bisection@block:8', (4, 4))
    """

    kind: Kind
    block: int | None = None

    def __post_init__(self) -> None:
        if self.block is not None:
            whole("block", self.block)
            if self.needs_table:
                raise InputError(
                    f"{self.name}: the plan of an order is made for all positions, not for blocks; leave "
                    "out +own or @block"
                )

    @property
    def name(self) -> str:
        """What the command line and tables call it."""
        return self.kind.name + ("" if self.block is None else f"@block:{self.block}")

    @property
    def is_random(self) -> bool:
        """Whether anything but tokens is drawn."""
        return self.kind.is_random

    @property
    def needs_table(self) -> bool:
        """Whether its plan is made from a table of its order."""
        return isinstance(self.kind, InOrder) and self.kind.own

    @property
    def needs_knob(self) -> bool:
        """Whether it is to be calibrated before it is run."""
        return isinstance(self.kind, Adaptive) and not self.kind.numbers

    @property
    def reads_steps(self) -> bool:
        """Whether it takes as many steps as it is told; else the network decides."""
        return not isinstance(self.kind, Adaptive)

    def with_knob(self, knob: float) -> "Decoder":
        """An adaptive decoder with this knob."""
        assert isinstance(self.kind, Adaptive), "only adaptive rules have a knob"
        return dataclasses.replace(self, kind=dataclasses.replace(self.kind, numbers=(knob,)))

    def at(
        self,
        steps: int,
        num_masked: int | None,
        choice: Choice = DRAWN,
        table: OrderTable | None = None,
        span: int | None = None,
    ) -> Run:
        """The decoder with a number of steps.

        Counts are even, N_k = round-half-even(n k / K) revealed after step k, or those of the order's own
        plan. Blocks share the steps alike, K // blocks each.

        Args:
          steps: K, at least 1; a rule that finds its own does not look at it.
          num_masked: Masked positions of each row, n; None if rows differ in it: each then follows k/K.
          choice: How tokens are chosen.
          table: Of the order, for its own plan: `mdmot.information.OrderTable` of n positions. To judge
            the plan, measure it on other rows.
          span: Positions from the first masked one of a row to its last, at most: those that lie in blocks.
            None if masked positions are neighbours, and as many in each row.

        Returns:
          The rule and its steps.

        Raises:
          InputError: If the table is missing or of another order or length, there are more blocks than
            steps, or an adaptive rule has no knob yet.

        Example:
          >>> from mdmot.decoders import parse_decoder
          >>> parse_decoder("bisection").at(3, num_masked=8).counts
          (3, 2, 3)
        """
        steps = whole("steps", steps)
        rule = self.kind.rule(choice)
        inner = None if isinstance(self.kind, Adaptive) else self._steps(steps, num_masked, table, span)
        in_blocks = rule if self.block is None else SemiAutoregressive(rule, self.block)
        return Run(in_blocks, inner, self.is_random)

    def one_at_a_time(self, span: int, choice: Choice = DRAWN) -> Run:
        """The same ranking, one position a step: what a decoder is compared with at temperature 0.

        Args:
          span: Positions from the first masked one of a row to its last, at most.
          choice: How tokens are chosen.

        Returns:
          The rule and its steps, which follow the order or the score of the decoder.

        Example:
          >>> from mdmot.decoders import parse_decoder
          >>> run = parse_decoder("threshold:.9").one_at_a_time(8)
          >>> run.rule.score, run.grid.reveal.size
          (LargestProbability(transforms=()), 8)
        """
        kind: Kind
        if isinstance(self.kind, InOrder):
            kind = InOrder(self.kind.order)
        elif isinstance(self.kind, Surest):
            kind = self.kind
        elif self.is_random:
            # Its order is drawn anew each step: the reference draws it so too, and opens one position.
            kind = dataclasses.replace(self.kind, numbers=(0.0,))
        else:
            kind = Surest(self.kind.family.name, self.kind.family.score)
        steps = span if self.block is None else self.block * -(-span // self.block)
        return Decoder(kind, self.block).at(steps, None, choice, span=span)

    def _steps(
        self, steps: int, num_masked: int | None, table: OrderTable | None, span: int | None
    ) -> Plan | StepGrid:
        if self.needs_table:
            return self._own_plan(steps, num_masked, table)
        length = num_masked
        if self.block is not None:
            span = num_masked if span is None else whole("span", span)
            if span is None:
                raise InputError(
                    f"{self.name}: rows have different numbers of masked positions, and blocks are to "
                    "share the steps; pass span, the positions from the first masked one to the last"
                )
            blocks = -(-span // self.block)
            if steps < blocks:
                raise InputError(
                    f"{self.name}: {blocks} blocks take at least {blocks} steps, and {steps} were asked "
                    "for; take more steps or larger blocks"
                )
            # Blocks with given positions in them have different numbers of masked ones.
            steps, length = steps // blocks, min(self.block, span) if span == num_masked else None
        if length is None:
            return grid_from_alpha(np.arange(steps + 1) / steps)
        order = self.kind.order if isinstance(self.kind, InOrder) else RandomOrder()
        return Plan(length, Fixed(even_counts(length, steps)), order=order)

    def _own_plan(self, steps: int, num_masked: int | None, table: OrderTable | None) -> Plan:
        assert isinstance(self.kind, InOrder)
        if table is None or table.order != self.kind.order:
            what = "none was given" if table is None else f"this one is of order {table.order.name}"
            raise InputError(
                f"{self.name}: its plan is made from a table of its order, and {what}; pass one of "
                "mdmot.information.estimate_order_table"
            )
        if table.length != num_masked:
            rows = "different numbers of" if num_masked is None else f"{num_masked}"
            raise InputError(
                f"{self.name}: the table is of {table.length} positions and rows have {rows} masked ones; "
                "pass a table of rows like these"
            )
        num_steps = min(steps, table.length)
        counts = cheapest_counts(table.mean_costs, table.levels, table.length, num_steps)
        return Plan(table.length, Fixed(counts), order=table.order)
