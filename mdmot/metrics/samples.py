"""Metrics that samples tell alone: their variety, and whether they are right."""

import ast
import math
import warnings
from collections.abc import Sequence

import numpy as np
from jax import Array
from jaxtyping import Integer

from mdmot.data import Language
from mdmot.errors import InputError
from mdmot.metrics.estimate import Estimate, Share, mean_of, share_of

Rows = Integer[np.ndarray, "num length"] | Integer[Array, "num length"]


def unigram_entropy(tokens: Rows) -> Estimate:
    """Entropy of the frequencies of tokens within a sequence, in nats, on average over sequences.

    Text that repeats itself has less than the data; its likelihood under a model does not tell so. Compare
    at the same length: a sequence of n tokens has log n at most.

    Args:
      tokens: At least 2 sequences.

    Returns:
      The mean.

    Raises:
      InputError: If there are fewer than 2 sequences.

    Example:
      >>> round(unigram_entropy(np.array([[0, 1, 0, 1], [2, 2, 2, 2]])).value, 4)
      0.3466

    References:
      Zheng et al., arXiv:2409.02908.
    """
    shares = [np.unique(row, return_counts=True)[1] / len(row) for row in np.asarray(tokens)]
    return mean_of(np.array([float(-(share * np.log(share)).sum()) for share in shares]))


def distinct_n(tokens: Rows, n: int) -> Estimate:
    """The share of different ones among all n-grams of all sequences.

    It falls with the number and the length of the sequences, so compare at equal ones.

    Args:
      tokens: At least 2 sequences.
      n: Tokens of an n-gram, 1 to the length.

    Returns:
      The share, its error by leaving out one sequence at a time.

    Raises:
      InputError: If `n` is out of its range or there are fewer than 2 sequences.

    Example:
      >>> distinct_n(np.array([[0, 1, 0, 1], [0, 1, 0, 2]]), 2).value
      0.5

    References:
      Li et al., arXiv:1510.03055.
    """
    rows = np.asarray(tokens).astype(np.int64)
    num, length = rows.shape
    if num < 2 or not 1 <= n <= length:
        raise InputError(
            f"{n}-grams of {num} sequences of {length} tokens; pass n from 1 to {length}, and 2 or more"
        )
    names = np.unique(rows, return_inverse=True)[1].reshape(rows.shape)
    vocab_size = names.max() + 1
    grams: np.ndarray = names
    for i in range(1, n):
        grams = np.unique(grams[:, :-1] * vocab_size + names[:, i:], return_inverse=True)[1]
        grams = grams.reshape(num, length - i)
    different = grams.max() + 1
    where = np.unique(grams * num + np.arange(num)[:, None])
    gram, row = np.divmod(where, num)
    is_alone = np.bincount(gram)[gram] == 1
    own = np.bincount(row[is_alone], minlength=num)
    without = (different - own) / (grams.size - grams.shape[1])
    spread = (num - 1) / num * ((without - without.mean()) ** 2).sum()
    return Estimate(float(different / grams.size), math.sqrt(spread))


def parses(text: str) -> bool:
    """Whether a text is a program that this Python parses; it is never run, nor compiled.

    Example:
      >>> parses("def f(x): return x"), parses("def f(x) return x"), parses("a" + 10**5 * ".b")
      (True, False, False)
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes and the like are no errors
        try:
            compile(text, "<sample>", "exec", flags=ast.PyCF_ONLY_AST, dont_inherit=True)
        except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
            return False  # ValueError: zeros and surrogates; the last two: nested too deeply
    return True


def parse_rate(texts: Sequence[str]) -> Share:
    """The share of texts that are programs of this Python.

    A text cut out of a program often is none: compare with the rate of held-out texts cut alike.

    Args:
      texts: At least 1.

    Returns:
      The share, with its interval of 95 %.

    Raises:
      InputError: If there is no text.

    Example:
      >>> parse_rate(["x = 1", "x = ", "y += x"]).value
      0.6666666666666666
    """
    return share_of(sum(map(parses, texts)), len(texts))


def legal_share(language: Language, tokens: Rows) -> Share:
    """The share of sequences that are in a decidable language.

    Args:
      language: The language.
      tokens: At least 1 sequence; one with a mask is wrong.

    Returns:
      The share, with its interval of 95 %.

    Raises:
      InputError: If there is no sequence or they have another length.

    Example:
      >>> from mdmot.data import sudoku
      >>> legal_share(sudoku(4), sudoku(4).draw(0, 10)).value
      1.0
    """
    return share_of(int(language.is_correct(tokens).sum()), len(tokens))


def exact_match(tokens: Rows, answers: Integer[np.ndarray, "answers answer_length"]) -> Share:
    """The share of sequences that are the given answers, token by token.

    Args:
      tokens: At least 1 sequence.
      answers: The one right sequence for each: where there may be others, as of a Sudoku with several
        solutions, use `solve_rate`.

    Returns:
      The share, with its interval of 95 %.

    Raises:
      InputError: If there is no sequence or the shapes differ.

    Example:
      >>> exact_match(np.array([[0, 1], [1, 1]]), np.array([[0, 1], [1, 0]])).value
      0.5
    """
    found, right = np.asarray(tokens), np.asarray(answers)
    if found.shape != right.shape:
        raise InputError(f"sequences {found.shape} for answers {right.shape}; pass one for each")
    return share_of(int(np.all(found == right, axis=1).sum()), len(found))


def solve_rate(language: Language, tokens: Rows, puzzles: Integer[np.ndarray, "puzzles cells"]) -> Share:
    """The share of sequences that are in a decidable language and have the tokens that were given.

    Args:
      language: The language.
      tokens: At least 1 sequence; one with a mask is wrong.
      puzzles: The given tokens of each; any that is no clean token is free.

    Returns:
      The share, with its interval of 95 %.

    Raises:
      InputError: If there is no sequence or the shapes differ.

    Example:
      >>> from mdmot.data import sudoku, templates
      >>> grids = sudoku(4).draw(0, 10)
      >>> solve_rate(sudoku(4), grids, templates(0, grids, given=4, mask_id=4)).value
      1.0
    """
    found = np.asarray(tokens)
    if found.shape != puzzles.shape:
        raise InputError(f"sequences {found.shape} for puzzles {puzzles.shape}; pass one for each")
    is_free = (puzzles < 0) | (puzzles >= language.vocabulary.size)
    is_kept = np.all(is_free | (found == puzzles), axis=1)
    return share_of(int((language.is_correct(tokens) & is_kept).sum()), len(found))
