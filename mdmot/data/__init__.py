"""Data: documents as tokens, their order, and languages whose sequences are decidably right."""

from mdmot.data.arithmetic import arithmetic as arithmetic
from mdmot.data.brackets import brackets as brackets
from mdmot.data.cache import TokenizedCorpus as TokenizedCorpus
from mdmot.data.cache import tokenize as tokenize
from mdmot.data.corpus import HELD_OUT_SHARE as HELD_OUT_SHARE
from mdmot.data.corpus import Corpus as Corpus
from mdmot.data.corpus import Document as Document
from mdmot.data.corpus import hold_out_documents as hold_out_documents
from mdmot.data.corpus import read_corpus as read_corpus
from mdmot.data.decidable import Language as Language
from mdmot.data.decidable import templates as templates
from mdmot.data.languages import LANGUAGES as LANGUAGES
from mdmot.data.languages import read_language as read_language
from mdmot.data.order import ShuffledOrder as ShuffledOrder
from mdmot.data.sudoku import count_solutions as count_solutions
from mdmot.data.sudoku import sudoku as sudoku
