"""Texts as token numbers, and back."""

from mdmot.vocabulary.bytes import Bytes
from mdmot.vocabulary.symbols import Symbols
from mdmot.vocabulary.tokenizer import Tokenizer, read_tokenizer
from mdmot.vocabulary.vocabulary import Vocabulary, assert_same_vocabulary, fingerprint

__all__ = [
    "Bytes",
    "Symbols",
    "Tokenizer",
    "Vocabulary",
    "assert_same_vocabulary",
    "fingerprint",
    "read_tokenizer",
]
