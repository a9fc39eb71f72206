"""The continued fraction of the incomplete beta function, with its slopes in both parameters.

Below the mean, more exactly for x <= (a + 1) / (a + b + 2),

    I_x(a, b) = x^a (1 - x)^b / (a B(a, b) F),

with F a continued fraction of links that are cheap and smooth in every argument. On this side of the
mean it converges fast and loses no digits, so I keeps its *relative* accuracy however small it is,
and one fixed number of links serves all parameters: 40 links leave 1e-18 over [0.05, 20]^2, where the
power series of I takes more than 100 terms to 1e-14, and 64 links leave 5e-14 over [0.05, 1000]^2.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

Link = Callable[[Array, Array, Array], Array]
"""`link(a, b, tail)`: one floor of the fraction on top of the `tail` below it."""


def fraction_and_slopes(
    a: Float[Array, "*shape"],
    b: Float[Array, "*shape"],
    x: Float[Array, "*shape"],
    y: Float[Array, "*shape"],
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"], Float[Array, "*shape"]]:
    """F, dF/da and dF/db at x <= (a + 1) / (a + b + 2) and y = 1 - x; F is 1 at x = 0.

    A compiled caller pays only for what it uses: XLA takes unused slopes out of the loop.
    """

    def top(a: Array, b: Array, tail: Array) -> Array:
        return (a * y - b * x + 1.0) / (a + 1.0) + (a + b) * (b - 1.0) * (x / (a + 1.0)) ** 2 / tail

    def link(m: Array, a: Array, b: Array, tail: Array) -> Array:
        odd = a + 2.0 * m
        over = (a + m) * (a + b + m) * ((m + 1.0) * (b - m - 1.0)) * (x / (odd + 1.0)) ** 2
        rise = (a + m) * (a * y - b * x + 1.0 + m * (1.0 + y)) / (odd + 1.0)
        return m + m * (b - m) * x / (odd - 1.0) + rise + over / tail

    def push(link: Link, tail: Array, tail_a: Array, tail_b: Array) -> tuple[Array, Array, Array]:
        one = jnp.ones_like(tail)
        value, value_a = jax.jvp(lambda a, tail: link(a, b, tail), (a, tail), (one, tail_a))
        value, value_b = jax.jvp(lambda b, tail: link(a, b, tail), (b, tail), (one, tail_b))
        return value, value_a, value_b

    def step(tail: tuple[Array, Array, Array], m: Array) -> tuple[tuple[Array, Array, Array], None]:
        return push(functools.partial(link, m), *tail), None

    # From the bottom up. Float32 rounds at 6e-8, which half of the links reach.
    num_links = 64 if jnp.finfo(x.dtype).bits > 32 else 32
    bottom = (jnp.full_like(x, jnp.inf), jnp.zeros_like(x), jnp.zeros_like(x))
    tail, _ = lax.scan(step, bottom, jnp.arange(num_links, 0, -1, dtype=x.dtype))
    return push(top, *tail)
