"""`mdmot.audit`: whether a sampler that is a function follows a law that is known exactly."""

import os
from typing import TYPE_CHECKING

from mdmot.errors import InputError
from mdmot.workflows.audited import Audit
from mdmot.workflows.precision import computing_in
from mdmot.workflows.progress import Show, counted

if TYPE_CHECKING:
    import numpy as np
    from jax.typing import ArrayLike

    from mdmot.distributions import Law
    from mdmot.metrics import Estimate, Finding, Sampler

LEAST_NUM = 100
"""Samples that tell anything."""

MOST_SEQUENCES = 2**16
"""Sequences of a law that are counted one by one."""

ROWS_AT_ONCE = 1024


def audit(
    sampler: "Sampler",
    law: "str | os.PathLike[str] | Law",
    *,
    num: int = 4096,
    seed: int = 0,
    prompt: "ArrayLike | None" = None,
    batch: int = 256,
    level: float = 0.01,
    show: Show | None = None,
) -> Audit:
    """Whether a sampler follows a law that is known exactly, by its samples alone.

    The sampler is a function `sampler(prompts, seed) -> tokens` of whole numbers [batch, length], which
    fills the masks (the number after the last token) of the prompts; `mdmot.samplers.callable_sampler`
    makes one of a rule. The law is known exactly, so that each test has one side without noise: the
    frequencies of sequences (where there are 65,536 at most), the mean log-probability, and tokens and
    pairs of them at distances 1, 2, 4, ... with their exact probabilities, both over all positions
    together and the largest deviation at one. A sampler that is right fails with probability `level` at
    most, as the tests share it (Bonferroni).

    Args:
      sampler: The sampler. It is called with seeds `seed`, `seed + 1`, ..., and with the first one twice.
      law: Law file or test bed, or a law.
      num: Samples, at least 100.
      seed: The first seed, at least 0.
      prompt: Tokens [length] that are given, and the mask where tokens are to be drawn; None for masks
        alone. The target is then the law given these tokens.
      batch: Prompts of a call, at least 1.
      level: Between 0 and 1.
      show: Called as calls and comparisons end.

    Returns:
      What was found.

    Raises:
      InputError: If the sampler returns another shape or kind, changes given tokens, leaves masks, returns
        tokens that there are not, or does not follow its seed; if there is no such law, the prompt is not
        one of it, or a number is out of its range.

    Example:
      >>> import numpy as np
      >>> def coins(prompts, seed):  # fair bits, which are right in half of all parity words
      ...     return np.random.default_rng(seed).integers(0, 2, prompts.shape)
      >>> found = audit(coins, "parity:length=6", num=1000)
      >>> found.passed, 0.4 < found.legal.value < 0.6
      (False, True)
    """
    with computing_in("float64"):
        import numpy as np

        from mdmot import metrics
        from mdmot.distributions import Law, read_law

        target = law if isinstance(law, Law) else read_law(str(law))
        row = _prompt(target, prompt)
        log_given = _log_given(target, row)
    if num < LEAST_NUM or batch < 1 or seed < 0 or not 0 < level < 1:
        raise InputError(
            f"num = {num}, batch = {batch}, seed = {seed}, level = {level}; pass at least {LEAST_NUM} "
            "samples, a batch of at least 1, a seed of at least 0 and a level between 0 and 1"
        )
    batch = min(batch, num)
    advance = counted(show, "audit", -(-num // batch) + 4)
    with computing_in("float64"):
        laws = metrics.pair_laws(target, row)
        advance("exact pairs")
    # In the precision of the caller, whose sampler it is.
    tokens = metrics.draw_checked(
        sampler, row, target.vocab_size, num=num, seed=seed, batch=batch, advance=advance
    )
    with computing_in("float64"):
        reference = _draws(target, row, num, seed)
        advance("draws of the law")

        def log_prob(rows: "np.ndarray") -> "np.ndarray":
            return _log_probs(target, rows) - log_given

        surprise = -log_prob(tokens)
        is_legal = np.isfinite(surprise)
        legal = metrics.share_of(int(is_legal.sum()), num)
        entropy, findings = _whole(target, row, tokens, surprise, -log_prob(reference))
        kl, kl_of_law, total_variation, total_variation_of_law = (
            found if (found := distance(seed, log_prob, rows)).is_told else None
            for distance in (metrics.kl_to_law, metrics.total_variation_to_law)
            for rows in (tokens, reference)
        )
        advance("sequences")
        pairs = tuple(metrics.compare_pairs(pair, tokens, reference) for pair in laws)
        advance("pairs")
    return Audit(
        law=target.spec,
        length=target.length,
        vocabulary=target.vocab_size,
        given=int((row != target.vocab_size).sum()),
        num=num,
        seed=seed,
        level=level,
        legal=legal,
        surprise=metrics.mean_of(surprise[is_legal]) if is_legal.sum() > 1 else None,
        entropy=entropy,
        kl=kl,
        kl_of_law=kl_of_law,
        total_variation=total_variation,
        total_variation_of_law=total_variation_of_law,
        pairs=pairs,
        findings=(*findings, *(found for pair in pairs for found in (pair.joint, pair.largest))),
    )


def _prompt(law: "Law", prompt: "ArrayLike | None") -> "np.ndarray":
    import numpy as np

    if prompt is None:
        return np.full(law.length, law.vocab_size)
    row = np.asarray(prompt)
    if (
        row.shape != (law.length,)
        or row.dtype.kind not in "iu"
        or not ((row >= 0) & (row <= law.vocab_size)).all()
        or not (row == law.vocab_size).any()
    ):
        raise InputError(
            f"the prompt is {row.dtype}{list(row.shape)}; pass {law.length} tokens of {law.spec}, from 0 "
            f"to {law.vocab_size - 1}, and the mask {law.vocab_size} where tokens are to be drawn"
        )
    return row.astype(np.int64)


def _whole(
    law: "Law", row: "np.ndarray", tokens: "np.ndarray", surprise: "np.ndarray", reference: "np.ndarray"
) -> "tuple[Estimate, list[Finding]]":
    """The entropy, and the tests of whole sequences: frequencies where they can be counted, and -log p."""
    import numpy as np

    from mdmot import metrics
    from mdmot.distributions import Tabular

    found, is_legal = [], np.isfinite(surprise)
    table = law.params if isinstance(law.params, Tabular) else None
    if table is None and law.length * np.log(law.vocab_size) <= np.log(MOST_SEQUENCES) + 1e-9:
        table = law.table()
    if table is not None and len(table.sequences) <= MOST_SEQUENCES:
        sequences, log_prob = np.asarray(table.sequences), np.asarray(table.log_prob)
        fits = ((sequences == row) | (row == law.vocab_size)).all(axis=1)
        prob = np.exp(log_prob[fits] - np.logaddexp.reduce(log_prob[fits]))
        entropy = metrics.Estimate(float(-(prob * np.log(prob)).sum()), 0.0)
        every = np.concatenate([sequences[fits], tokens[is_legal]])
        number = np.unique(every, axis=0, return_inverse=True)[1].reshape(-1)
        counts = np.bincount(number[len(prob) :], minlength=len(prob))[number[: len(prob)]]
        if is_legal.any():
            found.append(metrics.chi_square_of_sequences(counts, prob))
    elif (row == law.vocab_size).all():
        entropy = metrics.Estimate(*law.entropy())
    else:
        entropy = metrics.mean_of(reference)
    if is_legal.sum() > 1:
        found.append(metrics.deviation("log-probability", surprise[is_legal], reference, *entropy))
    return entropy, found


def _draws(law: "Law", row: "np.ndarray", num: int, seed: int) -> "np.ndarray":
    """Sequences of the law given the tokens of a row: one position after the other, if there are any."""
    import jax
    import numpy as np

    from mdmot.plans import Fixed, Plan
    from mdmot.samplers import FixedUnmasking, callable_sampler

    # Apart from the keys that a sampler of ours makes of the same seeds.
    key = jax.random.fold_in(jax.random.key(seed), 6)
    masked = int((row == law.vocab_size).sum())
    if masked == law.length:
        return np.asarray(law.sample(key, num), np.int64)
    plan, size = Plan(masked, Fixed([1] * masked)), min(num, ROWS_AT_ONCE)
    sampler = callable_sampler(FixedUnmasking(), law.model(), plan)
    seeds = jax.random.randint(key, (-(-num // size),), 0, 2**31 - 1).tolist()
    parts = [sampler(np.tile(row, (size, 1)), one) for one in seeds]
    return np.concatenate(parts)[:num].astype(np.int64)


def _log_given(law: "Law", row: "np.ndarray") -> float:
    """log p of the given tokens, one after the other.

    Raises:
      InputError: If they are impossible.
    """
    import jax
    import jax.numpy as jnp
    import numpy as np

    given = np.flatnonzero(row != law.vocab_size)
    if given.size == 0:
        return 0.0
    states = np.full((len(given), law.length), law.vocab_size)
    for k in range(len(given)):
        states[k, given[:k]] = row[given[:k]]
    log_probs = jax.nn.log_softmax(law.model()(jnp.asarray(states, jnp.int32)), axis=-1)
    found = float(np.asarray(log_probs)[np.arange(len(given)), given, row[given]].sum())
    if not np.isfinite(found):
        raise InputError(f"{law.spec} never has the tokens of the prompt; give tokens that it can have")
    return found


def _log_probs(law: "Law", rows: "np.ndarray") -> "np.ndarray":
    import jax.numpy as jnp
    import numpy as np

    parts = []
    for start in range(0, len(rows), ROWS_AT_ONCE):
        some = rows[start : start + ROWS_AT_ONCE]
        filled = np.resize(some, (ROWS_AT_ONCE, law.length))
        parts.append(np.asarray(law.log_prob(jnp.asarray(filled, jnp.int32)))[: len(some)])
    return np.concatenate(parts)
