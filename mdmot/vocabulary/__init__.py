"""Texts as token numbers, and back."""

from mdmot.vocabulary.bytes import Bytes
from mdmot.vocabulary.mask_sign import SPELLED_MASKS
from mdmot.vocabulary.symbols import Symbols
from mdmot.vocabulary.tokenizer import Tokenizer, read_tokenizer
from mdmot.vocabulary.vocabulary import Vocabulary, assert_same_vocabulary, fingerprint

__all__ = [
    "SPELLED_MASKS",
    "Bytes",
    "Symbols",
    "Tokenizer",
    "Vocabulary",
    "assert_same_vocabulary",
    "fingerprint",
    "read_tokenizer",
]
