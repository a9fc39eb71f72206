"""What an audit of a sampler finds."""

import dataclasses
from typing import TYPE_CHECKING, Any

from mdmot.provenance import jsonable

if TYPE_CHECKING:
    from mdmot.metrics import Distance, Estimate, Finding, PairStatistics, Share

MOST_REASONS = 3
"""Tests that a verdict names."""


@dataclasses.dataclass(frozen=True, repr=False)
class Audit:
    """How far the samples of a sampler are from a law that is known exactly, in nats.

    Attributes:
      law: The law, every option spelled out.
      length: Tokens of a sequence.
      vocabulary: Number of clean tokens.
      given: Tokens that the prompt gave.
      num: Samples.
      seed: Seed of the first call of the sampler.
      level: Probability, at most, that a right sampler does not pass.
      legal: Share of samples that the law can make, with its interval of 95 %.
      surprise: Mean of -log p of the legal samples; None if there are fewer than two.
      entropy: What it is for samples of the law; its error is 0 where it is exact.
      kl: KL(sampler || law) by frequencies of sequences; None where samples do not tell it.
      kl_of_law: What as many draws of the law itself make of it: 0 but for noise and what the correction
        of the bias leaves.
      total_variation: Between the two; None where samples do not tell it.
      total_variation_of_law: What as many draws of the law make of it.
      pairs: Frequencies of tokens, and of pairs at distances 1, 2, 4, ..., beside the law's exact ones.
      findings: The tests of equality, with the p-value of each alone.
    """

    law: str
    length: int
    vocabulary: int
    given: int
    num: int
    seed: int
    level: float
    legal: "Share"
    surprise: "Estimate | None"
    entropy: "Estimate"
    kl: "Distance | None"
    kl_of_law: "Distance | None"
    total_variation: "Distance | None"
    total_variation_of_law: "Distance | None"
    pairs: "tuple[PairStatistics, ...]"
    findings: "tuple[Finding, ...]"

    @property
    def p_value(self) -> float:
        """The least p-value, times the number of tests: that of the audit as a whole."""
        return min(1.0, len(self.findings) * min(finding.p_value for finding in self.findings))

    @property
    def passed(self) -> bool:
        """Whether the samples are all legal and not told apart from the law."""
        return self.legal.value == 1 and self.p_value >= self.level

    @property
    def verdict(self) -> str:
        """What was found, in one line: the tests that tell the samples apart, the surest first."""
        if self.passed:
            return f"not told apart from the law (p = {self.p_value:.3g}, {len(self.findings)} tests)"
        told = sorted(
            (finding.p_value * len(self.findings), finding.name)
            for finding in self.findings
            if finding.p_value * len(self.findings) < self.level
        )
        reasons = [f"{name} (p = {p:.1g})" for p, name in told[:MOST_REASONS]]
        if len(told) > MOST_REASONS:
            reasons.append(f"and {len(told) - MOST_REASONS} more")
        if self.legal.value < 1:
            reasons.insert(0, f"{1 - self.legal.value:.3g} of the samples are illegal")
        return f"differs from the law: {', '.join(reasons)}"

    def __repr__(self) -> str:
        kl = "" if self.kl is None else f", KL {self.kl.value:.3g} +- {self.kl.standard_error:.1g} nats"
        if self.kl is not None and self.kl_of_law is not None:
            kl += f" (of the law's own draws {self.kl_of_law.value:.3g})"
        return f"Audit({self.num} samples of {self.law}, legal {self.legal.value:.4g}{kl}: {self.verdict})"

    def to_json(self) -> dict[str, Any]:
        """All of it in JSON's types; infinities as the strings "inf" and "-inf"."""
        content = {
            "kind": "audit",
            "law": self.law,
            "length": self.length,
            "vocabulary": self.vocabulary,
            "given": self.given,
            "num": self.num,
            "seed": self.seed,
            "level": self.level,
            "passed": self.passed,
            "p_value": self.p_value,
            "verdict": self.verdict,
            "legal": self.legal._asdict(),
            "surprise": _fields(self.surprise),
            "entropy": self.entropy._asdict(),
            "kl": _fields(self.kl),
            "kl_of_law": _fields(self.kl_of_law),
            "total_variation": _fields(self.total_variation),
            "total_variation_of_law": _fields(self.total_variation_of_law),
            "pairs": [_of_pair(pair) for pair in self.pairs],
            "findings": [finding._asdict() for finding in self.findings],
        }
        return {name: jsonable(value) for name, value in content.items()}


def _fields(found: Any) -> dict[str, Any] | None:
    return None if found is None else dict(found._asdict())


def _of_pair(pair: "PairStatistics") -> dict[str, Any]:
    fields = {field.name: getattr(pair, field.name) for field in dataclasses.fields(pair)}
    return fields | {name: fields[name]._asdict() for name in ("joint", "largest")}
