"""Settings of a whole training run, and the named ones."""

import dataclasses
import functools
from typing import Any, ClassVar

import jax
import optax

from mdmot._types import Denoiser, Tokens
from mdmot.arguments import whole
from mdmot.errors import InputError
from mdmot.models import TransformerConfig
from mdmot.names import MASKED
from mdmot.training.levels import Levels
from mdmot.training.marks import Answers, TokenIds, TokenWeight, assert_tokens, marked
from mdmot.training.masks import MaskLaw, ReweightedMasks
from mdmot.training.objective import COUNTED, EVEN, INDEPENDENT, Batch, ControlVariate, NelboObjective
from mdmot.training.orders import Orders, RandomOrder
from mdmot.training.spread import Spread
from mdmot.training.update import Update

BYTES = 256
RANDOM_ORDER = RandomOrder()
PARTS = {"levels": "draw", "spread": "draw", "masks": "patterns", "order": "begin"}
OPTIONAL_PARTS = {"control": "decay", "answers": "is_given"}
"""Fields that are objects, and what each of them has: a damaged file of settings may give others."""
NOT_WITH_LEARNED_ORDERS = (
    "masks",
    "control",
    "num_patterns",
    "spread",
    "answers",
    "maskable",
    "token_weights",
)


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Everything that decides the weights after training, apart from the data and the machine.

    Attributes:
      model: Size of the network. `run` takes the network itself beside it, which may be of another kind,
        and reads the length of the windows and the number of clean tokens here alone.
      num_steps: Updates.
      batch_size: Windows an update.
      learning_rate: Largest rate; it rises linearly over the warm-up and falls as a cosine to a hundredth.
      num_warm_up: Updates of the warm-up.
      weight_decay: Of AdamW.
      clip_norm: Gradients of a larger Euclidean norm are scaled down to it.
      average_decay: Of the running mean of the weights; see `Update`.
      num_microbatches: Parts of a batch, to save memory.
      levels: Law of the masked share.
      num_patterns: Mask patterns of a window.
      spread: How a window's patterns keep apart.
      masks: Law of the patterns.
      control: Running mean of the loss at each level that is taken off it; None for none.
      answers: What of a window is learned; None for all of it.
      maskable: Tokens that may be masked, and count, in prompts too.
      token_weights: Weights of some tokens in the order of revealing, or under `ReweightedMasks` of how
        often they are masked.
      order: Whether orders are uniformly random, or those of the weights of the tokens; or learned.
      seed: Of the first weights, the order of the data, the levels and the patterns.
      log_every: Updates a line of metrics.
      save_every: Updates a checkpoint, a multiple of `log_every`.
      keep: Checkpoints kept, at least 2: the newest may turn out to be the one that diverges.
      num_evaluated: Held-out windows on which the running mean of the weights is measured at a checkpoint.

    Raises:
      InputError: If a number is out of its range, or settings make no sense together.

    Example:
      >>> PRESETS["tiny"].model.length
      32
    """

    process: ClassVar[str] = MASKED
    """What is trained, a name of `mdmot.names.PROCESSES`."""

    model: TransformerConfig
    num_steps: int
    batch_size: int
    learning_rate: float
    num_warm_up: int
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    average_decay: float | None = 0.999
    num_microbatches: int = 1
    levels: Levels = EVEN
    num_patterns: int = 1
    spread: Spread = INDEPENDENT
    masks: MaskLaw = COUNTED
    control: ControlVariate | None = None
    answers: Answers | None = None
    maskable: TokenIds = ()
    token_weights: tuple[TokenWeight, ...] = ()
    order: Orders = RANDOM_ORDER
    seed: int = 0
    log_every: int = 10
    save_every: int = 100
    keep: int = 2
    num_evaluated: int = 512

    def __post_init__(self) -> None:
        counts = ("num_steps", "batch_size", "num_microbatches", "num_patterns", "log_every", "save_every")
        for name in (*counts, "keep", "num_evaluated"):
            value, least = getattr(self, name), 1 if name in counts else 2
            whole(name, value, least)
        if not 0 <= self.num_warm_up < self.num_steps:
            raise InputError(
                f"num_warm_up = {self.num_warm_up} in num_steps = {self.num_steps}; pass a warm-up of at "
                "least 0 and of less than all steps, or more steps"
            )
        if not self.learning_rate > 0 or not self.clip_norm > 0 or not self.weight_decay >= 0:
            raise InputError(
                f"learning_rate = {self.learning_rate}, clip_norm = {self.clip_norm}, weight_decay = "
                f"{self.weight_decay}; pass positive numbers (a weight decay of 0 is none)"
            )
        if self.average_decay is not None and not 0 <= self.average_decay < 1:
            raise InputError(f"average_decay = {self.average_decay}; pass a number from 0 to below 1")
        if not 0 <= self.seed < 2**31:
            raise InputError(f"seed = {self.seed}; pass a whole number from 0 to {2**31 - 1}")
        if self.save_every % self.log_every or self.batch_size % self.num_microbatches:
            raise InputError(
                f"save_every = {self.save_every}, log_every = {self.log_every}, batch_size = "
                f"{self.batch_size}, num_microbatches = {self.num_microbatches}; pass a multiple of "
                "log_every as save_every, and of num_microbatches as batch_size"
            )
        self._assert_together()

    def optimizer(self) -> optax.GradientTransformation:
        """AdamW on clipped gradients with warm-up and decay; of equal settings it is the same object."""
        return _optimizer(self)

    def nelbo(self, denoiser: Denoiser) -> NelboObjective:
        """What a step minimises if no order is learned."""
        return NelboObjective(
            denoiser,
            self.model.mask_id,
            levels=self.levels,
            masks=self.masks,
            num_patterns=self.num_patterns,
            spread=self.spread,
            control=self.control,
        )

    def update(self, denoiser: Denoiser) -> Update:
        """The step of training of a network: of what `order.begin` makes of its weights."""
        objective = self.order.objective(self.nelbo(denoiser))
        return Update(objective, self.optimizer(), self.average_decay, self.num_microbatches)

    def marked(self, tokens: Tokens) -> Batch:
        """Windows with what is given and what weighs otherwise."""
        return marked(tokens, self.answers, self.maskable, self.token_weights)

    def _assert_together(self) -> None:
        """Refuses what is of another kind or makes no sense together, and tokens that are none."""
        for name, member in (PARTS | OPTIONAL_PARTS).items():
            value = getattr(self, name)
            if not hasattr(value, member) and not (value is None and name in OPTIONAL_PARTS):
                raise InputError(f"{name} = {value!r}; pass an object of mdmot.training")
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        set_too = [name for name in NOT_WITH_LEARNED_ORDERS if getattr(self, name) != defaults[name]]
        if self.order != RANDOM_ORDER and set_too:
            raise InputError(
                f"order = {self.order} draws two orders of all tokens of a window, which has no use for "
                f"{', '.join(set_too)}; leave one or the other out"
            )
        if self.maskable and self.answers is None:
            raise InputError(
                f"maskable = {self.maskable} are tokens of prompts, and all tokens are maskable where "
                "answers = None; pass answers, or no maskable tokens"
            )
        raised = [one.weight for one in self.token_weights if one.weight > 1]
        if isinstance(self.masks, ReweightedMasks) and raised:
            raise InputError(
                f"a token's weight {raised[0]:g} under {self.masks} would weigh losses by as much as "
                f"{self.masks.least ** -raised[0]:.3g}; pass a weight of at most 1"
            )
        answers = () if self.answers is None else self.answers.after + self.answers.until
        assert_tokens(answers, self.model.vocab_size, "answers")
        weighted = tuple(token for one in self.token_weights for token in one.tokens)
        assert_tokens(self.maskable + weighted, self.model.vocab_size, "maskable or weighted tokens")


@functools.lru_cache(maxsize=16)
def _optimizer(config: TrainConfig) -> optax.GradientTransformation:
    """One object for each setting, so that a run finds the program that an equal one has compiled."""
    rate = optax.warmup_cosine_decay_schedule(
        0.0, config.learning_rate, config.num_warm_up, config.num_steps, 0.01 * config.learning_rate
    )
    return optax.chain(
        optax.clip_by_global_norm(config.clip_norm),
        optax.adamw(rate, b2=0.98, weight_decay=config.weight_decay, mask=_is_matrix),
    )


def _is_matrix(params: Any) -> Any:
    """Norms and biases, those of stacked layers too, are not pulled to zero."""

    def decays(path: Any, leaf: Any) -> bool:
        name = jax.tree_util.keystr(path[-1:], simple=True)
        return leaf.ndim >= 2 and name not in ("scale", "bias")

    return jax.tree_util.tree_map_with_path(decays, params)


PRESETS = {
    "tiny": TrainConfig(
        TransformerConfig(vocab_size=BYTES, length=32, width=32, depth=1, heads=2),
        num_steps=40,
        batch_size=8,
        learning_rate=1e-2,
        num_warm_up=4,
        average_decay=0.9,
        log_every=5,
        save_every=10,
        num_evaluated=32,
    ),
    "text": TrainConfig(
        TransformerConfig(vocab_size=BYTES, length=128, width=128, depth=4, heads=4),
        num_steps=2000,
        batch_size=32,
        learning_rate=3e-3,
        num_warm_up=100,
        average_decay=0.99,
    ),
    "bundled": TrainConfig(
        TransformerConfig(vocab_size=BYTES, length=256, width=192, depth=5, heads=3),
        num_steps=7200,
        batch_size=16,
        learning_rate=2.5e-3,
        num_warm_up=300,
        average_decay=0.998,
        log_every=20,
        save_every=100,
    ),
}
"""Bytes of text: for a test, for minutes on a laptop, and for the model that is in the package."""

FINE_TUNING = TrainConfig(
    TransformerConfig(vocab_size=BYTES, length=128, width=2, depth=1, heads=1),
    num_steps=1000,
    batch_size=16,
    learning_rate=5e-5,
    num_warm_up=100,
    average_decay=0.99,
)
"""For a network that is trained already, whose size is its own: smaller steps, and fewer."""
