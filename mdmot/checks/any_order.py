"""Unmasking one token a call: with the exact conditionals no order makes another law.

An order may look at all that is visible: a rule names the next position for every partly masked sequence.
Along the way to a sequence x the rule visits one chain of sets S_0 < S_1 < ... < S_n, and the product of
p(x_i | x_S) = p(x_{S + i}) / p(x_S) over it is p(x): every factor cancels the one before. A rule that draws
is a mixture of rules that do not, so it makes the same law too. A rule that looks at what it has drawn
before it decides where to put it is none of these.
"""

import itertools
from collections.abc import Iterator
from fractions import Fraction
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from mdmot.checks.check import EDITS, Check, Claim, equal
from mdmot.distributions import tabular, tabular_denoiser
from mdmot.model import Model
from mdmot.samplers import Categorical, NegativeEntropy, Ranked, log_likelihood
from mdmot.schedules import grid_from_alpha

LENGTH = 4
MASK = 2
State: TypeAlias = tuple[int, ...]
"""Bits, and MASK where there is none yet."""

ExactLaw: TypeAlias = dict[State, Fraction]
"""Probabilities of bit strings; those of 0 may be left out."""

Visible: TypeAlias = dict[State, Fraction]
"""Probabilities of what each partly masked sequence shows."""

Policy: TypeAlias = dict[State, int]
"""The position that is unmasked next, for each state that has a mask and can be reached."""

SOURCE = f"{EDITS}: any order adds nothing"


def check_any_order() -> list[Check]:
    """All rules that look at what is visible, a published one, and one that looks at what it draws."""
    lengths = range(1, LENGTH + 1)
    rules = {length: list(policies((MASK,) * length)) for length in lengths}
    laws = [(law, visible_of(law), length) for length in lengths for law in _laws(length)]
    worst = max(
        _distance(law, drawn_by(rule, visible)) for law, visible, length in laws for rule in rules[length]
    )
    look = "in any order that the visible tokens decide"
    rare = Fraction(1, 10)
    pair: ExactLaw = {(a, b): Fraction(1, 2) * (1 - rare if b else rare) for a in (0, 1) for b in (0, 1)}
    without = sum((p for x, p in _surest_of_drawn(pair).items() if x[1] == 0), Fraction(0))
    return [
        equal(
            Claim(
                "any order, the same law",
                f"one token a call with exact conditionals, {look}, generates the law itself",
                SOURCE,
                f"all {len(rules[LENGTH])} rules for {LENGTH} bits, and those for fewer; a random law and "
                "one with forbidden strings; in fractions: the largest difference of probabilities",
            ),
            0.0,
            float(worst),
            0.0,
        ),
        equal(
            Claim(
                "any order, surest first",
                f"mdmot's ranking by entropy, {look}, has the law's own likelihood",
                "mdmot.samplers",
                f"a random law of {LENGTH} bits; the largest difference of log-probabilities",
            ),
            0.0,
            _ranking_error(),
            20 * float(np.finfo(np.float32).eps),  # four terms near 1, in float32 whatever the precision
        ),
        equal(
            Claim(
                "counterexample, the surest of what was drawn",
                "an order that looks at the drawn tokens before it keeps one generates another law",
                "mdmot.samplers.Ranked.reads_drawn",
                "independent bits that are 1 with probability 1/2 and 9/10; the likelier of two drawn bits "
                "is kept: P(second = 0), which is 1/10 in the law",
            ),
            0.01,
            float(without),
            0.0,
        ),
    ]


def policies(state: State) -> Iterator[Policy]:
    """Every rule for the states that can be reached from one."""
    masked = [i for i, token in enumerate(state) if token == MASK]
    if not masked:
        yield {}
    for i in masked:
        for zero, one in itertools.product(policies(_put(state, i, 0)), policies(_put(state, i, 1))):
            yield {state: i} | zero | one


def drawn_by(policy: Policy, visible: Visible) -> ExactLaw:
    """What a rule generates from the exact conditionals of a law."""
    reached = {max(visible): Fraction(1)}  # all masked
    while masked := [state for state in reached if MASK in state]:
        for state in masked:
            prob = reached.pop(state)
            for bit, conditional in enumerate(conditionals(visible, state, policy[state])):
                if conditional:
                    reached[_put(state, policy[state], bit)] = prob * conditional
    return reached


def visible_of(law: ExactLaw) -> Visible:
    """How probable it is that a sequence shows what a state shows, for every state."""
    states = itertools.product((0, 1, MASK), repeat=len(next(iter(law))))
    return {state: sum((p for x, p in law.items() if _agrees(x, state)), Fraction(0)) for state in states}


def conditionals(visible: Visible, state: State, position: int) -> tuple[Fraction, Fraction]:
    """The law of one masked bit given those that are visible."""
    zero, one = (visible[_put(state, position, bit)] / visible[state] for bit in (0, 1))
    return zero, one


def _put(state: State, position: int, bit: int) -> State:
    return (*state[:position], bit, *state[position + 1 :])


def _agrees(x: State, state: State) -> bool:
    return all(token in (MASK, bit) for bit, token in zip(x, state, strict=True))


def _laws(length: int) -> Iterator[ExactLaw]:
    """One with full support, and one of few strings."""
    strings = list(itertools.product((0, 1), repeat=length))
    weights = np.random.default_rng(length).integers(1, 100, len(strings)).tolist()
    for kept in (slice(None), slice(None, None, 3)):
        total = sum(weights[kept])
        yield {x: Fraction(w, total) for x, w in zip(strings[kept], weights[kept], strict=True)}


def _distance(law: ExactLaw, other: ExactLaw) -> Fraction:
    return max(abs(law.get(x, Fraction(0)) - other.get(x, Fraction(0))) for x in law | other)


def _ranking_error() -> float:
    law = next(_laws(LENGTH))
    table = tabular(list(law), [float(p) for p in law.values()], vocab_size=2)
    model = Model(tabular_denoiser(2), table, MASK)
    one_by_one = grid_from_alpha(np.arange(LENGTH + 1) / LENGTH)
    rule = Ranked(score=NegativeEntropy(), choice=Categorical())
    found = log_likelihood(jax.random.key(0), rule, model, one_by_one, table.sequences)
    return float(jnp.abs(found.log_prob - table.log_prob).max())


def _surest_of_drawn(law: ExactLaw) -> ExactLaw:
    """Both bits are drawn, the one with the likelier value stays, and the other is drawn again."""
    start, visible = (MASK, MASK), visible_of(law)
    found = dict.fromkeys(law, Fraction(0))
    first, second = (conditionals(visible, start, i) for i in (0, 1))
    for a, b in itertools.product((0, 1), repeat=2):
        kept = 0 if first[a] > second[b] else 1
        state = _put(start, kept, (a, b)[kept])
        for bit, conditional in enumerate(conditionals(visible, state, 1 - kept)):
            found[_put(state, 1 - kept, bit)] += first[a] * second[b] * conditional
    return found
