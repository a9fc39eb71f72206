"""The network as a rule meets it in a step: a few verbs, and nothing else of the model."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias, TypeVar

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float, Int

from mdmot._types import Tokens
from mdmot.denoisers import LogitsAt, bind, calls_of, has_head_apart, reads_time
from mdmot.denoisers.reading import take
from mdmot.model import Model
from mdmot.samplers.choice import Choice
from mdmot.samplers.logits import RowLogits, is_law
from mdmot.samplers.steps import StepInfo

Values = TypeVar("Values")
"""A pytree of arrays [batch, positions, ...]."""

IsLaw: TypeAlias = Bool[Array, "batch width"]

Summary = Callable[[Int[Array, "batch width"], Float[Array, "batch width vocab"]], tuple[Values, IsLaw]]
"""What is kept of the logits at some positions of each row, and whether they were a distribution there."""

CHUNKS, NARROWEST, WIDEST = 8, 8, 64
"""A chunk is an eighth of the length, within these widths: few of them, and little in the last."""


class Revealed(NamedTuple):
    """What masked positions become when they are revealed.

    Attributes:
      tokens: Their tokens.
      log_prob: log q of each token, in float32; None in a run that draws them, where nobody asks.
    """

    tokens: Tokens
    log_prob: Float[Array, "batch length"] | None

    def total(self, where: Bool[Array, "batch length"]) -> Float[Array, " batch"] | None:
        """log q of the tokens at these positions together, for the step's report."""
        if self.log_prob is None:
            return None
        return jnp.where(where, self.log_prob, 0.0).sum(axis=1, dtype=float)


class Network(NamedTuple):
    """A model at some time: what a rule asks in a step.

    The loop makes one and hands it to `init` and `step`. Rows that ask for nothing are not charged, and
    if no row asks, no network is called.

    Attributes:
      model: The network, its weights and its mask.
      t: Time of each row, measured by alpha, which is told to a network that reads it; None for the
        unmasked share of the row.
      clean: The sequences whose likelihood is asked for: revealed positions become their tokens. None if
        tokens are drawn.

    Example:
      >>> import jax.numpy as jnp
      >>> from mdmot.samplers.choice import Likeliest
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 2))
      >>> network = Network(Model(denoiser, jnp.asarray([0.0, 1.0]), mask_id=2))
      >>> tokens, unmask = jnp.full((1, 3), 2), jnp.asarray([[True, False, True]])
      >>> tokens, info = network.fill(tokens, unmask, jnp.zeros((1, 3, 2)), Likeliest())
      >>> [int(token) for token in tokens[0]], int(info.network_calls[0])
      ([1, 2, 1], 1)
    """

    model: Model
    t: Float[Array, " batch"] | None = None
    clean: Tokens | None = None

    def at(self, t: Float[Array, " batch"]) -> "Network":
        """The network at a time of each row, measured by alpha."""
        return self._replace(t=t)

    def is_masked(self, tokens: Tokens) -> Bool[Array, "batch length"]:
        """The masked positions."""
        return tokens == self.model.mask_id

    def masked(self, tokens: Tokens, where: Bool[Array, "batch length"]) -> Tokens:
        """The sequences with these positions masked."""
        return jnp.where(where, jnp.asarray(self.model.mask_id, tokens.dtype), tokens)

    @property
    def calls(self) -> int:
        """Network calls that one look makes."""
        return calls_of(self.model.denoiser)

    def vocab_size(self, tokens: Tokens) -> int:
        """Logits at a position; nothing is computed."""
        logits: jax.ShapeDtypeStruct = jax.eval_shape(self.model.denoiser, self.model.params, tokens)
        return int(logits.shape[-1])

    def look(self, tokens: Tokens) -> LogitsAt:
        """Calls the network; its logits as a function of the positions, or of None for all."""
        denoiser, params = self.model.denoiser, self.model.params
        time = (self.t,) if self.t is not None and reads_time(denoiser) else ()
        return bind(denoiser, params, tokens, *time)

    def unrevealed(self, tokens: Tokens) -> Revealed:
        """The sequences as they are: what `read` and `survey` keep where they do not look."""
        return Revealed(tokens, None if self.clean is None else jnp.zeros(tokens.shape, jnp.float32))

    def revealed(
        self,
        choice: Choice,
        positions: Int[Array, "batch width"],
        law: RowLogits,
        picked: Int[Array, "batch width"],
    ) -> Revealed:
        """What positions become: the tokens picked, or the clean ones with their probability.

        This is all by which the likelihood of a rule differs from its samples.

        Args:
          choice: How the tokens were picked.
          positions: The positions.
          law: What the choice made of their logits.
          picked: The tokens that it picked of that law, in the type of the sequences.
        """
        if self.clean is None:
            return Revealed(picked, None)
        clean = jnp.take_along_axis(self.clean, positions, axis=1)
        return Revealed(clean, choice.log_prob(law, clean))

    def fill(
        self,
        tokens: Tokens,
        unmask: Bool[Array, "batch length"],
        uniform: Float[Array, "batch length 2"],
        choice: Choice,
    ) -> tuple[Tokens, StepInfo]:
        """Fills positions that were chosen without the network.

        Args:
          tokens: The sequences before the step.
          unmask: The positions to fill.
          uniform: Two uniforms a position.
          choice: How tokens are chosen.

        Returns:
          The sequences after the step, and the report.
        """
        revealed, info = self.read(
            tokens, unmask, self.drawing(tokens, uniform, choice), self.unrevealed(tokens)
        )
        return revealed.tokens, info._replace(log_prob=revealed.total(unmask))

    def drawing(
        self, tokens: Tokens, uniform: Float[Array, "batch length 2"], choice: Choice
    ) -> Summary[Revealed]:
        """Of logits, what positions become: a summary for `read`."""

        def draw(positions: Array, logits: Array) -> tuple[Revealed, IsLaw]:
            law = choice.law(logits)
            picked = choice.pick(take(uniform, positions), law).astype(tokens.dtype)
            return self.revealed(choice, positions, law, picked), is_law(logits) & is_law(law)

        return draw

    def read(
        self,
        tokens: Tokens,
        where: Bool[Array, "batch length"],
        summary: Summary[Values],
        unseen: Values,
    ) -> tuple[Values, StepInfo]:
        """Summarises the logits at a few positions: the head and the summary run there only.

        Args:
          tokens: The sequences.
          where: The positions that are needed.
          summary: What to keep: `summary(positions, logits)`, a pytree of arrays [batch, positions, ...]
            and whether the logits were a distribution.
          unseen: What is kept elsewhere, arrays [batch, length, ...].

        Returns:
          The summaries, and the report.
        """
        return self._visit(
            where, lambda nothing: in_chunks(self.look(tokens), where, summary, nothing), unseen
        )

    def survey(
        self,
        tokens: Tokens,
        where: Bool[Array, "batch length"],
        summary: Summary[Values],
        unseen: Values,
    ) -> tuple[Values, StepInfo]:
        """Summarises the logits at most positions, as `read` does, to choose by what the network says.

        A denoiser with its head apart is evaluated chunk by chunk, at the needed positions only, so that
        no array [batch, length, vocabulary] exists; a plain one has made that array already, and it is
        summarised at once.
        """
        if has_head_apart(self.model.denoiser):
            return self.read(tokens, where, summary, unseen)

        def at_once(nothing: tuple[Values, IsLaw]) -> tuple[Values, IsLaw]:
            every = jnp.broadcast_to(jnp.arange(tokens.shape[1], dtype=jnp.int32), tokens.shape)
            seen = summary(every, self.look(tokens)(None))
            keep = lambda new, old: jnp.where(_like(where, new), new, old)  # noqa: E731
            return jax.tree.map(keep, seen, nothing)

        return self._visit(where, at_once, unseen)

    def _visit(
        self,
        where: Bool[Array, "batch length"],
        visit: Callable[[tuple[Values, IsLaw]], tuple[Values, IsLaw]],
        unseen: Values,
    ) -> tuple[Values, StepInfo]:
        nothing = unseen, jnp.ones(where.shape, bool)
        values, is_law = lax.cond(where.any(), visit, lambda nothing: nothing, nothing)
        is_called = where.any(axis=1)
        return values, StepInfo(self.calls * is_called.astype(jnp.int32), is_law.all(axis=1) | ~is_called)


def in_chunks(
    logits_at: LogitsAt,
    where: Bool[Array, "batch length"],
    summary: Callable[[Int[Array, "batch width"], Float[Array, "batch width vocab"]], Values],
    unseen: Values,
) -> Values:
    """Summaries at some positions, a static number of positions of each row at a time.

    The chunks go on until the row with the most positions is done; a row's values do not depend on how
    many there are.
    """
    length = where.shape[1]
    width = min(length, max(NARROWEST, min(WIDEST, -(-length // CHUNKS))))
    place = jnp.cumsum(where, axis=1, dtype=jnp.int32)
    most = place[:, -1].max()

    def chunk(carry: tuple[Array, Values]) -> tuple[Array, Values]:
        start, values = carry
        wanted = start + 1 + jnp.arange(width, dtype=jnp.int32)
        # The position of the k-th True; `length`, which is dropped below, if there are fewer.
        positions = (place[:, None, :] < wanted[None, :, None]).sum(axis=2, dtype=jnp.int32)
        inside = jnp.minimum(positions, length - 1)
        new = summary(inside, logits_at(inside))
        # Row by row: a scatter over all rows would gather them on every device of a sharded batch.
        put = jax.vmap(lambda old, new, place: old.at[place].set(new, mode="drop"))
        return start + width, jax.tree.map(lambda old, new: put(old, new, positions), values, new)

    _, values = lax.while_loop(lambda carry: carry[0] < most, chunk, (jnp.int32(0), unseen))
    return values


def _like(where: Bool[Array, "batch length"], x: Array) -> Array:
    """The marks with as many axes as an array."""
    return where.reshape(*where.shape, *[1] * (x.ndim - where.ndim))
