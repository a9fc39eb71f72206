"""Texts as token numbers, and back."""

from mdmot.vocabulary.kinds import Vocabulary as Vocabulary
from mdmot.vocabulary.kinds import assert_same_vocabulary as assert_same_vocabulary
from mdmot.vocabulary.kinds import fingerprint as fingerprint
from mdmot.vocabulary.octets import Bytes as Bytes
from mdmot.vocabulary.symbols import Symbols as Symbols
from mdmot.vocabulary.tokenizer import Tokenizer as Tokenizer
from mdmot.vocabulary.tokenizer import read_tokenizer as read_tokenizer
