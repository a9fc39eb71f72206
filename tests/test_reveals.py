"""The two ways to reveal tokens, as values."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdmot import exact_law, information, plans
from mdmot.distributions import tabular
from mdmot.errors import InputError
from mdmot.schedules import counts, grid_from_alpha

PROFILE = jnp.array([0.7, 0.65, 0.6, 0.5, 0.4])
ALPHA = (0.0, 0.3, 0.3, 0.7, 1.0)
BOTH = (plans.Fixed([1, 0, 3, 1]), plans.Bernoulli(ALPHA))


@pytest.mark.parametrize(
    ("make", "wrong", "words"),
    [
        (plans.Fixed, [3, -1], r"counts = \[3, -1\] are not whole"),
        (plans.Fixed, [0.5, 1.0], "are not whole"),
        (plans.Fixed, [True, False], "are not whole"),
        (plans.Fixed, [[1, 2]], "are not whole"),
        (plans.Fixed, [], "are not whole"),
        (plans.Fixed, [0, 0], "reveal nothing"),
        (plans.Bernoulli, [0.0], "K\\+1 >= 2 values"),
        (plans.Bernoulli, [0.1, 1.0], "from 0 to 1"),
        (plans.Bernoulli, [0.0, 0.5], "from 0 to 1"),
        (plans.Bernoulli, [0.0, math.nan, 1.0], "not finite"),
        (plans.Bernoulli, [0.0, 0.7, 0.6, 1.0], "must not fall"),
    ],
)
def test_what_is_no_way_to_reveal_is_refused(make, wrong, words):
    with pytest.raises(InputError, match=words):
        make(np.array(wrong))


def test_reveals_are_values():
    assert plans.Fixed(np.array([1, 2])) == plans.Fixed((1, 2)) != plans.Fixed([2, 1])
    assert plans.Bernoulli(jnp.array([0.0, 0.5, 1.0])) == plans.Bernoulli((0.0, 0.5, 1.0))
    assert hash(plans.Fixed([1, 2])) == hash(plans.Fixed((1, 2)))
    assert plans.Fixed([1, 0, 3, 1]).alpha == (0.0, 0.2, 0.2, 0.8, 1.0)
    assert plans.Bernoulli(ALPHA).counts is None
    assert {"fixed": plans.Fixed, "bernoulli": plans.Bernoulli} == plans.REVEALS
    with pytest.raises(AttributeError):
        plans.Fixed([1]).counts = (2,)
    for wrong in ("fixed", plans.Plan):
        with pytest.raises(InputError, match=r"pass mdmot\.plans\.Fixed or Bernoulli"):
            plans.assert_kind(wrong)


def test_a_grid_makes_the_counts_that_are_rounded_cumulatively():
    assert plans.Fixed.from_alpha(ALPHA, 5).counts == (2, 0, 2, 1)  # 1.5 and 3.5 to even
    assert plans.Bernoulli.from_alpha(ALPHA, 5).alpha == ALPHA
    for reveal in BOTH:
        assert type(reveal).from_alpha(reveal.alpha, 5) == reveal


def test_errors_are_those_of_the_profile_and_may_be_traced():
    fixed = BOTH[0]
    expected = (
        information.fixed_path_kl(PROFILE, jnp.array(fixed.counts)),
        information.bernoulli_path_kl(PROFILE, jnp.array(ALPHA)),
    )
    for reveal, error in zip(BOTH, expected, strict=True):
        assert float(reveal.path_kl(PROFILE)) == float(error)
        assert float(jax.jit(reveal.path_kl)(PROFILE)) == pytest.approx(float(error), rel=1e-14)
        along = jax.jit(type(reveal).path_kl_of_alpha)(PROFILE, jnp.array(reveal.alpha))
        assert float(along) == pytest.approx(float(error), rel=1e-14)
    assert [kind.is_smooth for kind in (plans.Fixed, plans.Bernoulli)] == [False, True]
    slopes = [
        jax.grad(kind.path_kl_of_alpha, argnums=1)(PROFILE, jnp.array(ALPHA))
        for kind in (plans.Fixed, plans.Bernoulli)
    ]
    assert not slopes[0].any()
    assert slopes[1].any()


def test_the_optimal_reveals_are_those_of_the_searches():
    assert plans.Fixed.optimal(PROFILE, 3).counts == tuple(plans.optimal_counts(PROFILE, 3).tolist())
    assert plans.Bernoulli.optimal(PROFILE, 3).alpha == tuple(plans.optimal_alpha(PROFILE, 3).tolist())


def test_the_law_of_the_sampler_is_the_exact_one():
    sequences = np.array(list(itertools.product(range(2), repeat=5)))
    law = tabular(sequences[::3], np.arange(1.0, 12.0), 2)
    fixed, bernoulli = BOTH
    found = [reveal.law(law, 2, jnp.asarray(sequences)) for reveal in BOTH]
    reveal = grid_from_alpha(jnp.array(bernoulli.alpha)).reveal
    expected = (
        exact_law.fixed_law(law, 2, jnp.array(fixed.counts), jnp.asarray(sequences)),
        exact_law.bernoulli_law(law, 2, reveal, jnp.asarray(sequences)),
    )
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    np.testing.assert_allclose(np.sum(found, axis=1), 1, rtol=1e-13)
    assert not np.allclose(found[0], found[1])


def test_the_law_in_single_precision_keeps_the_digits_of_the_last_steps():
    """Of alphas next to 1 a float32 difference would keep a few digits."""
    law = tabular(np.array([[0, 0], [1, 1]]), np.array([1.0, 1.0]), 2)
    alpha = (0.0, 1 - 3e-7, 1 - 1e-7, 1.0)
    single = jax.tree.map(lambda x: x.astype(jnp.float32) if x.dtype == jnp.float64 else x, law)
    seen = []

    def law_of(target, vocab_size, reveal, sequences):
        seen.append(reveal)
        return jnp.zeros(len(sequences))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mdmot.plans.reveals.bernoulli_law", law_of)
        plans.Bernoulli(alpha).law(single, 2, jnp.array([[0, 0]]))
    assert seen[0].dtype == jnp.float32
    np.testing.assert_allclose(seen[0], [1 - 3e-7, 2 / 3, 1], rtol=1e-7)


def test_stretched_reveals_keep_the_share_of_a_step():
    fixed, bernoulli = BOTH
    assert bernoulli.for_length(9) == bernoulli
    assert fixed.for_length(5) == fixed
    assert fixed.for_length(7).counts == tuple(counts(jnp.array([0, 0.2, 0.2, 0.8, 1.0]), 7).tolist())
    assert fixed.for_length(1).counts == (0, 0, 1, 0)
