"""Data: documents as tokens, their order, and languages whose sequences are decidably right."""

from mdmot.data.bracket_words import brackets
from mdmot.data.corpus import HELD_OUT_SHARE, Corpus, Document, hold_out_documents, read_corpus
from mdmot.data.decidable import Language, templates
from mdmot.data.encoded_records import MOST_LENGTH, EncodedRecords, row_shape
from mdmot.data.equations import arithmetic
from mdmot.data.languages import LANGUAGES, read_language
from mdmot.data.order import ShuffledOrder
from mdmot.data.record_encoding import encode_records, texts_of
from mdmot.data.record_files import read_records
from mdmot.data.record_rows import Fitting, Parts, RecordRows, RowShape
from mdmot.data.records import Record, Records, hold_out_records
from mdmot.data.sudoku_grids import count_solutions, sudoku
from mdmot.data.tokenized_corpus import TokenizedCorpus, tokenize

__all__ = [
    "HELD_OUT_SHARE",
    "LANGUAGES",
    "MOST_LENGTH",
    "Corpus",
    "Document",
    "EncodedRecords",
    "Fitting",
    "Language",
    "Parts",
    "Record",
    "RecordRows",
    "Records",
    "RowShape",
    "ShuffledOrder",
    "TokenizedCorpus",
    "arithmetic",
    "brackets",
    "count_solutions",
    "encode_records",
    "hold_out_documents",
    "hold_out_records",
    "read_corpus",
    "read_language",
    "read_records",
    "row_shape",
    "sudoku",
    "templates",
    "texts_of",
    "tokenize",
]
