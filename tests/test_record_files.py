"""Files of records as people have them: what is read, what is held out, what is refused in a line."""

import dataclasses
import gzip
import io
import json
import random
import sys

import numpy as np
import pytest

from mdmot.data import (
    Record,
    Records,
    RowShape,
    encode_records,
    hold_out_records,
    read_records,
    row_shape,
)
from mdmot.errors import InputError
from mdmot.models.vocabulary_json import read_vocabulary, vocabulary_json
from mdmot.vocabulary import (
    SMILES,
    Bytes,
    Ended,
    Pieces,
    Symbols,
    Tokenizer,
    assert_same_vocabulary,
    cut,
    fingerprint,
    pieces_of,
)

TABLE = 'name,"the kind",note\nAda,person,"a ""quoted"", cell"\r\nParis,place,two\n,empty,\n'
LINES = {
    "lines.txt": "\ufeffAda\r\n\nEmmy \n",
    "a.smi": "CCO\tethanol\nC[nH]1 x\n",
    "names.jsonl": '{"text": "Ada", "n": 1}\n\n{"text": "Emmy\\n"}\n',
    "strings.jsonl": '"Ada"\n"Sofia"\n',
    "asked.jsonl": '{"prompt": "2+2=", "answer": "4"}\n{"prompt": "", "answer": "5"}\n',
    "table.csv": TABLE,
    "table.tsv": TABLE.replace(",", "\t").replace('""\t cell', '"", cell'),
    "p.fasta": ">sp|P1| one\nmkt\nAYI*\n\n>two\n; a comment\nAC DX\n>none\n",
}
FOUND = [
    ("lines.txt", None, [("Ada", "", 1), ("Emmy ", "", 3)]),
    ("a.smi", None, [("CCO", "", 1), ("C[nH]1", "", 2)]),
    ("names.jsonl", None, [("Ada", "", 1), ("Emmy\n", "", 3)]),
    ("strings.jsonl", None, [("Ada", "", 1), ("Sofia", "", 2)]),
    ("asked.jsonl", None, [("4", "2+2=", 1), ("5", "", 2)]),
    ("asked.jsonl:prompt", None, [("2+2=", "", 1)]),
    ("asked.jsonl:prompt", "answer", [("2+2=", "4", 1), ("", "5", 2)]),
    ("table.csv:name", None, [("Ada", "", 2), ("Paris", "", 3)]),
    (
        "table.csv:note",
        "the kind",
        [('a "quoted", cell', "person", 2), ("two", "place", 3), ("", "empty", 4)],
    ),
    ("table.tsv:note", None, [('a "quoted", cell', "", 2), ("two", "", 3)]),
    ("p.fasta", None, [("MKTAYI", "", 1), ("ACDX", "", 5)]),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("records")
    for name, content in LINES.items():
        (root / name).write_bytes(content.encode())
        (root / f"{name}.gz").write_bytes(gzip.compress(content.encode()))
    return root


def test_a_quotation_mark_that_is_not_closed_swallows_no_rows(tmp_path):
    (tmp_path / "t.tsv").write_text('n\ttext\n1\t"Ada" said\n2\ttwo\n3\t"three\n')
    with pytest.raises(
        InputError, match=r"line 2: .*; a cell with a quotation mark in it stands in quotes"
    ):
        read_records(f"{tmp_path / 't.tsv'}:text")
    (tmp_path / "u.csv").write_text('n,text\n1,one\n2,"two\n3,three\n')
    with pytest.raises(InputError, match="unexpected end of data"):
        read_records(f"{tmp_path / 'u.csv'}:text")


def test_one_long_record_does_not_make_all_rows_long():
    items = (Record("ab", "", 1), Record("c" * 600, "", 2), Record("abc", "", 3))
    encoded = encode_records(Records("some", items, False), Ended(Bytes(), end=256))
    assert row_shape([encoded]) == (4, 4)
    left_out = encoded.ended(row_shape([encoded])).left_out
    assert left_out == "of 3 records 1 is longer than 4 tokens (line 2 has 600)"
    alone = encode_records(Records("one", items[1:2], False), Ended(Bytes(), end=256))
    assert row_shape([alone]).length == 512


def test_why_no_record_fits_is_said():
    letters = Ended(Symbols(("a", "b")), end=2)

    def refused(*items):
        is_prompted = any(record.prompt for record in items)
        encoded = encode_records(Records("some", items, is_prompted), letters)
        with pytest.raises(InputError) as error:
            encoded.ended(RowShape(4, 2), remedy="pass shorter ones")
        return str(error.value)

    foreign = refused(Record("abc", "", 3), Record("xy", "", 5))
    assert foreign.startswith("some: of 2 records 2 cannot be written in the vocabulary, as line 3: 'c'")
    assert foreign.endswith("; pass other records")
    assert "long" not in foreign
    limit = "longer than 4 tokens, or than 2 behind the prompt"
    assert refused(Record("aaa", "b", 2), Record("abab", "bbb", 9)) == (
        f"some: of 2 records 2 are {limit} (line 2 has 4, 3 behind its prompt); pass shorter ones, or "
        "other records"
    )
    both = refused(Record("c", "", 1), Record("aaaaa", "", 2))
    assert f"1 is {limit} (line 2 has 5) and 1 cannot be written" in both
    assert both.endswith("pass shorter ones, or other records")


def test_an_answer_may_be_empty_where_its_end_is_learned():
    items = (Record("", "x:", 1), Record("ab", "y:", 2), Record("é", "z:", 3))
    encoded = encode_records(Records("some", items, True), Ended(Symbols(tuple("abxyz:")), end=6))
    fitting = encoded.ended(row_shape([encoded]))
    (rows,) = fitting.rows
    assert rows.tokens.tolist() == [[2, 5, 6, 6, 6], [3, 5, 0, 1, 6]]
    assert (rows.parts.counted.tolist(), rows.num_bytes.tolist()) == ([1, 3], [0, 2])
    assert fitting.left_out.startswith("of 3 records 1 cannot be written in the vocabulary, as line 3")
    bare = encode_records(Records("some", items[:2], True), Bytes()).alone(9)
    assert bare.left_out == "of 2 records 1 is empty (line 1)"


@pytest.mark.filterwarnings("ignore:.*no text")
@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize(("source", "prompt", "expected"), FOUND)
def test_files_as_people_have_them(folder, source, prompt, expected, packed):
    file, colon, column = source.partition(":")
    found = read_records(f"{folder / file}{packed}{colon}{column}", prompt)
    assert list(found.items) == expected
    assert found.is_prompted == any(prompt for _, prompt, _ in expected)
    # Read again by the path that a run keeps, from any folder.
    assert read_records(found.path, prompt) == found


@pytest.mark.parametrize(
    ("content", "source", "expected"),
    [
        ("CCO\nCC\n", "-", ["CCO", "CC"]),
        (">x\nACD\n", "-", ["ACD"]),
        ('{"s": "C"}\n', "-:s", ["C"]),
        ('{"text": "C"}\n{"text": "CC"}\n', "-", ["C", "CC"]),
        ("{a}\n", "-", ["{a}"]),
        ("s,t\nC,1\n", "-:s", ["C"]),
        ("s\tt\nC\t1\n", "-:t", ["1"]),
    ],
)
def test_standard_input(monkeypatch, content, source, expected):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
    found = read_records(source)
    assert [record.text for record in found.items] == expected
    assert (found.name.startswith("standard input"), found.path) == (True, None)


@pytest.mark.parametrize(
    ("name", "content", "column", "prompt", "message"),
    [
        ("a.csv", "x,y\n1,2\n", None, None, "has the columns 'x', 'y'; pass FILE:COLUMN"),
        ("a.csv", "x,y\n1,2\n", "z", None, "has no column 'z', but 'x', 'y'"),
        ("a.csv", "x,x\n1,2\n", "x", None, "has 2 columns 'x'"),
        ("a.csv", "x,y\n1,2,3\n", "x", None, "line 2: 3 cells, but the header has 2"),
        ("a.csv", "", None, None, "has the columns none"),
        ("a.jsonl", '{"x": 1}\n', None, None, "line 1: has no field 'text', but 'x'"),
        ("a.jsonl", '{"x": 1}\n', "x", None, "line 1: field 'x' is 1; expected a text"),
        ("a.jsonl", "[1]\n", None, None, r"line 1: is \[1\]; expected an object"),
        ("a.jsonl", "{\n", None, None, "line 1: is not JSON"),
        ("a.txt", "x\n", "x", None, "has no columns, and 'x' is asked for"),
        ("a.txt", "x\n", None, "y", "has no columns, and 'y' is asked for"),
        ("a.fa", "ACD\n", None, None, "line 1: expected a header"),
        ("a.fa", ">x\nACD\n", "x", None, "has no columns"),
        ("a.txt", "\n\n", None, None, "has no record with any text"),
        ("a.txt", b"ok\n\xff\n", None, None, "line 2, byte 1: 0xff is not UTF-8"),
        ("a.gz", b"\x1f\x8bno", None, None, "the compressed file is damaged"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_line(tmp_path, name, content, column, prompt, message):
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message) as error:
        read_records(str(file) if column is None else f"{file}:{column}", prompt)
    assert "\n" not in str(error.value)


def test_no_file(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*none.csv:x: .*; pass --records FILE"):
        read_records(f"{tmp_path / 'none.csv'}:x")
    with pytest.raises(InputError, match="is a folder"):
        read_records(str(tmp_path))


def test_held_out_is_what_the_records_say_wherever_they_stand():
    items = [Record(f"r{n}", "p" * (n % 2), n) for n in range(2000)]
    trained, held_out = hold_out_records(Records("some", tuple(items), True))
    # Binomial of 2000 and .05: 100, and 5 standard deviations of 9.7.
    assert len(trained.items) + len(held_out.items) == 2000
    assert abs(len(held_out.items) - 100) < 49
    random.Random(0).shuffle(items)
    again = hold_out_records(Records("others", (*items[:1000], *items), True))[1]
    assert {r[:2] for r in again.items} == {r[:2] for r in held_out.items}
    # A file that was sorted, or has each record once, holds out the same set.
    first = hold_out_records(Records("some", tuple(items[::-1]), True))[1]
    assert len(first.items) < len(again.items)
    assert again.fingerprint != first.fingerprint
    assert again.set_fingerprint == first.set_fingerprint
    fewer = dataclasses.replace(first, items=first.items[1:])
    assert fewer.set_fingerprint != first.set_fingerprint
    # The prompt counts, and where it ends.
    assert Record("b", "a", 1).digest != Record("ab", "", 1).digest
    assert Record("b", "a", 1).digest != Record("b", "", 1).digest


@pytest.mark.parametrize("num", [3, 4, 10])
def test_two_different_ones_are_held_out_of_few(num):
    items = tuple(Record(str(n), "", n) for n in range(num) for _ in range(3))
    trained, held_out = hold_out_records(Records("few", items, False))
    texts = [{record.text for record in part.items} for part in (trained, held_out)]
    assert len(texts[1]) >= 2
    assert not texts[0] & texts[1]
    assert texts[0]


def test_one_record_many_times_is_one():
    with pytest.raises(
        InputError, match="one: 1 different record, of which two cannot be held out; pass three"
    ):
        hold_out_records(Records("one", (Record("a", "", 1),) * 100, False))


def test_two_records_are_too_few():
    with pytest.raises(InputError, match="2 different records"):
        hold_out_records(Records("two", tuple(Record(str(n % 2), "", n) for n in range(9)), False))


def test_rows_have_the_record_its_end_and_ends():
    items = (Record("ab", "xy", 1), Record("abc", "", 2), Record("a", "xyxy", 3), Record("?", "", 4))
    letters = Ended(Symbols(("a", "b", "c", "x", "y")), end=5)
    encoded = encode_records(Records("some", items, True), letters)
    shape = row_shape([encoded])
    assert shape == (8, 4)  # the longest prompt, the longest text and its end
    fitting = encoded.ended(shape)
    (rows,) = fitting.rows
    assert fitting.left_out is not None
    assert "of 4 records 1 cannot be written in the vocabulary, as line 4: '?'" in fitting.left_out
    assert rows.tokens.tolist() == [[3, 4, 0, 1, 5, 5, 5, 5], [0, 1, 2, *[5] * 5], [3, 4, 3, 4, 0, 5, 5, 5]]
    # As many are drawn in each, whatever its prompt.
    expected = np.array([[1, 1, 0, 0, 0, 0, 1, 1], [0] * 4 + [1] * 4, [1] * 4 + [0] * 4], bool)
    assert (rows.is_given == expected).all()
    assert rows.parts.counted.tolist() == [3, 4, 2]
    assert rows.num_bytes.tolist() == [2, 3, 1]
    assert [letters.decode(row, "_") for row in rows.tokens.tolist()] == ["xyab", "abc", "xyxya"]


def test_a_record_may_take_all_of_its_row_and_no_more():
    items = (Record("ab", "", 1), Record("abc", "", 2), Record("abcabc", "", 3))
    encoded = encode_records(Records("some", items, False), Ended(Bytes(), end=256))
    assert row_shape([encoded]) == (7, 7)
    fitting = encoded.ended(row_shape([encoded], length=3))
    assert fitting.left_out == "of 3 records 1 is longer than 3 tokens (line 3 has 6)"
    assert fitting.rows[0].tokens.tolist() == [[97, 98, 256], [97, 98, 99]]
    assert fitting.rows[0].parts.counted.tolist() == [3, 3]
    many = r"of 3 records 3 are longer than 1 token \(line 1 has 2\)"
    with pytest.raises(InputError, match=f"{many}; pass a larger --length, or other records"):
        encoded.ended(row_shape([encoded], length=1))


def test_without_an_end_rows_have_the_length_of_their_records():
    items = (Record("ab", "x", 1), Record("c", "", 2), Record("abc", "", 3), Record("d" * 9, "", 4))
    fitting = encode_records(Records("some", items, True), Bytes()).alone(8)
    assert [part.tokens.tolist() for part in fitting.rows] == [[[99]], [[120, 97, 98], [97, 98, 99]]]
    assert [part.is_given.astype(int).tolist() for part in fitting.rows] == [[[0]], [[1, 0, 0], [0, 0, 0]]]
    assert [part.parts.counted.tolist() for part in fitting.rows] == [[1], [2, 3]]
    assert fitting.left_out == "of 4 records 1 is longer than 8 tokens (line 4 has 9)"


def test_tokens_that_stand_in_no_text_are_refused():
    records = Records("some", (Record("ab", "", 1), Record("c", "", 2)), False)
    fitting = encode_records(records, Symbols(("a", "b", "c")), never=(2,)).alone(8)
    assert fitting.left_out is not None
    assert 'line 2: token 2 ("c") of "c" stands in no text' in fitting.left_out
    ends_inside = encode_records(records, Ended(Symbols(("a", "b", "c")), end=1))
    assert [text.size for text in ends_inside.texts] == [0, 1]


@pytest.mark.parametrize(
    ("smiles", "pieces"),
    [
        ("CC(=O)Oc1ccccc1", "C C ( = O ) O c 1 c c c c c 1"),
        ("[13CH3]Br.[Na+].Cl", "[13CH3] Br . [Na+] . Cl"),
        ("C%10CC%(123)C/C=C\\F", "C %10 C C %(123) C / C = C \\ F"),
        ("N[C@@H](C)C(=O)O>>O", "N [C@@H] ( C ) C ( = O ) O > > O"),
    ],
)
def test_smiles_are_cut_into_atoms_bonds_and_rings(smiles, pieces):
    assert cut(smiles, SMILES) == pieces.split()
    vocabulary = pieces_of([smiles], SMILES)
    assert vocabulary.decode(vocabulary.encode(smiles), "_") == smiles
    masked = vocabulary.encode(smiles + "□", "□")
    assert masked == [*vocabulary.encode(smiles), vocabulary.size]
    assert vocabulary.decode(masked, "□") == smiles + "□"


@pytest.mark.parametrize(
    ("text", "pattern", "message"),
    [
        ("ab", "a", "'b' is nothing that 'a' finds"),
        ("ba", "a", "'ba' is nothing that 'a' finds"),
        ("ab", "a|", "'b' is nothing"),
        ("ab", "(", "is no regular expression"),
    ],
)
def test_a_pattern_finds_all_of_a_text_or_is_refused(text, pattern, message):
    with pytest.raises(InputError, match=message):
        cut(text, pattern)


def test_pieces_outside_the_vocabulary_are_named():
    with pytest.raises(InputError, match="'F' is not one of the 2 pieces"):
        Pieces(("C", "O"), ".").encode("COF")


TOKENIZER = json.dumps({"model": {"type": "WordLevel", "vocab": {"a": 0, "b": 1}, "unk_token": "a"}})


@pytest.mark.parametrize(
    "inner", [Bytes(), Symbols(("a", "b")), Pieces(("a", "b"), "."), Tokenizer(TOKENIZER)]
)
@pytest.mark.parametrize("own", [False, True])
def test_ended_vocabularies_are_saved_and_known_again(inner, own):
    ended = Ended(inner, 1 if own else inner.size)
    assert ended.size == inner.size + (not own)
    assert read_vocabulary("m", json.loads(json.dumps(vocabulary_json(ended)))) == ended
    assert fingerprint(ended) != fingerprint(inner)
    with pytest.raises(InputError, match="and an end"):
        assert_same_vocabulary(ended, inner, "it")
    a = inner.encode("a")[0]
    assert ended.decode([a, ended.size, ended.end, a], "□").replace(" ", "") == "a□"


@pytest.mark.parametrize(
    "value",
    [
        {"ended": "bytes", "end": 258},
        {"ended": "bytes", "end": True},
        {"ended": {"ended": "bytes", "end": 256}, "end": 2},
        {"pieces": ["a"], "pattern": "("},
        {"pieces": ["a", "a"], "pattern": "."},
        {"pieces": [], "pattern": "."},
        {"pieces": ["a"]},
        {"ended": "words", "end": 1},
    ],
)
def test_damaged_vocabularies_are_refused(value):
    with pytest.raises(InputError, match=r"^m: "):
        read_vocabulary("m", value)
