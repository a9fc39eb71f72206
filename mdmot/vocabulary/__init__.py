"""Texts as token numbers, and back."""

from mdmot.vocabulary.bytes import Bytes
from mdmot.vocabulary.chat import Chat
from mdmot.vocabulary.ended import Ended, Plain
from mdmot.vocabulary.mask_sign import SPELLED_MASKS
from mdmot.vocabulary.pieces import SMILES, Pieces, cut, pieces_of
from mdmot.vocabulary.residues import AMINO_ACIDS, RARE, Residues, protein_records
from mdmot.vocabulary.symbols import Symbols
from mdmot.vocabulary.tokenizer import Tokenizer, Unread, read_tokenizer
from mdmot.vocabulary.vocabulary import (
    Vocabulary,
    assert_same_vocabulary,
    fingerprint,
    known_tokens,
    of_clean_texts,
    unread,
    without_end,
)

__all__ = [
    "AMINO_ACIDS",
    "RARE",
    "SMILES",
    "SPELLED_MASKS",
    "Bytes",
    "Chat",
    "Ended",
    "Pieces",
    "Plain",
    "Residues",
    "Symbols",
    "Tokenizer",
    "Unread",
    "Vocabulary",
    "assert_same_vocabulary",
    "cut",
    "fingerprint",
    "known_tokens",
    "of_clean_texts",
    "pieces_of",
    "protein_records",
    "read_tokenizer",
    "unread",
    "without_end",
]
