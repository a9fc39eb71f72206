"""What a file of records is taken for: formats that look like others are read as they are, or refused."""

import gzip
import io
import sys

import pytest

from mdmot.data import read_records
from mdmot.errors import InputError, InputWarning

CONVERT = r"is one JSON document, expected JSON Lines \(.jsonl\), an object a line; convert it, as `jq -c"
OBJECTS = '[{"text": "Ada"}, {"text": "Emmy"}]'
PRETTY = '[\n  {\n    "text": "Ada"\n  }\n]\n'
LINES = '{"text": "Ada"}\n{"text": "Emmy"}\n'


def written(folder, name, content):
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder / name


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        *(
            (name, content, CONVERT)
            for name in ("a.json", "a.JSON", "data")
            for content in (OBJECTS, PRETTY)
        ),
        ("a.json", '{"data": [{"text": "Ada"}]}', CONVERT),
        ("a.json", "no JSON at all", CONVERT),
        ("a.json", LINES, "has an object a line, which is JSON Lines; rename it"),
        ("data", '["Ada",\n"Emmy"]', CONVERT),
        ("data", '{\n"text": "Ada"\n}', CONVERT),
        ("data", '[ {"text": "cut off', CONVERT),
        ("a.txt", PRETTY, CONVERT),
        ("a.csv", "name;born\nAda;1815\n", "have semicolons between their cells, expected commas; save it"),
        ("a.csv", "\ufeffname;score\r\n\r\nAda;1,5\r\n", "have semicolons between their cells"),
        ("a.csv", "name\tborn\nAda\t1815\n", "have tabs between their cells, .*; rename it .tsv"),
        ("a.tsv", "name,born\nAda,1815\n", "have commas between their cells, .*; rename it .csv"),
        ("a.csv", "name|born\nAda|1815\n", "have bars between their cells"),
        ("a.csv", b"PK\x03\x04\x14\0", "is a zip archive or a workbook, no text"),
        ("a.txt", b"PAR1\x15\x04", "is a Parquet file, no text"),
        ("a.txt", "Ada\nEmmy\n".encode("utf-16"), "is UTF-16; save it as UTF-8, as `iconv -f utf-16"),
        ("a.txt", "Ada\nEmmy\n".encode("utf-16-le"), "line 1, byte 2: a zero, which no text has"),
        ("a.txt", "Ada\rÉmile\nZoë\n".encode("latin-1"), "line 2, byte 1: 0xc9 is not UTF-8; save it as"),
        (
            "a.txt",
            b"\xef\xbb\xbfAd\xe9\n",
            "line 1, byte 3: 0xe9 is not UTF-8; .*`iconv -f latin1 -t utf-8`",
        ),
    ],
)
def test_what_looks_like_something_else_is_refused(tmp_path, name, content, message, packed):
    content = content if isinstance(content, bytes) else content.encode()
    file = written(tmp_path, name + ".gz" * packed, gzip.compress(content) if packed else content)
    with pytest.raises(InputError, match=message) as error:
        read_records(str(file))
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [OBJECTS, PRETTY, '["Ada",\n"Emmy"]'])
@pytest.mark.parametrize("source", ["-", "-:text"])
def test_a_document_of_json_is_no_lines_on_standard_input(monkeypatch, content, source):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
    with pytest.raises(InputError, match=f"standard input {CONVERT}"):
        read_records(source)


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("salts", "[Na+].[Cl-]\n[K+].[Cl-]\n", ["[Na+].[Cl-]", "[K+].[Cl-]"]),
        ("lists.txt", "[1, 2]\n[3]\n", ["[1, 2]", "[3]"]),
        ("data", LINES, ["Ada", "Emmy"]),
        ("data", ">one\nACD\n", ["ACD"]),
        ("one.csv", "name; first\nAda\n", ["Ada"]),
        ("one.csv", '"name;born"\n"Ada;1815"\n', ["Ada;1815"]),
        ("one.csv", "a;b\n1;2;3\n", ["1;2;3"]),
        ("mac.txt", "Ada\rEmmy\r\rSofia", ["Ada", "Emmy", "Sofia"]),
        ("mac.csv", "name\rAda\rEmmy\r", ["Ada", "Emmy"]),
        ("mac.fasta", ">one\rAC\rDE\r>two\rF\r", ["ACDE", "F"]),
        ("mac.jsonl", LINES.replace("\n", "\r"), ["Ada", "Emmy"]),
        ("mixed.txt", "Ada\r\n\nEmmy\rSofia\n", ["Ada", "Emmy", "Sofia"]),
        ("bom.csv", b"\xef\xbb\xbfname\r\nAda\r\n\r\n", ["Ada"]),
        ("gaps.fasta", "\n>one\n\nAC\n\nDE\n\n\n>two\nF\n\n", ["ACDE", "F"]),
        ("last.jsonl", LINES + "\n  \n", ["Ada", "Emmy"]),
        ("named.smiles", "CCO\tethanol\n \n", ["CCO"]),
        ("blank.txt", "Ada\n \t\n  Emmy \n", ["Ada", "  Emmy "]),
        ("name.csv", "name\nAda\nname\n", ["Ada", "name"]),
    ],
)
def test_what_is_meant_is_read(tmp_path, name, content, texts):
    assert [record.text for record in read_records(str(written(tmp_path, name, content))).items] == texts


ASKED = '{"prompt": "2+2=", "answer": "4"}\n'


@pytest.mark.parametrize(
    ("content", "source", "prompt", "message"),
    [
        ('"Ada"\n{"text": "Emmy"}\n', "", None, "line 2: is .*, and the lines before are texts; write all"),
        ('{"text": "Ada"}\n\n"Emmy"\n', "", None, 'line 3: is "Emmy", and line 1 an object; write all'),
        (
            ASKED + '{"answer": "5"}\n',
            "",
            None,
            "line 2: has no field 'prompt', which line 1 has, but 'ans",
        ),
        (ASKED + '{"text": "5"}\n', "", None, "line 2: has no field 'prompt', which line 1 has"),
        ('{"text": "Ada"}\n' + ASKED, "", None, "line 2: has a field 'prompt', which is not read beside"),
        ('{"text": "Ada"}\n{"name": "x"}\n', "", None, "line 2: has no field 'text', which line 1 has"),
        ('{"question": "a", "answer": "b"}\n', "", None, "no field 'text', but 'question', 'answer'; pass"),
        ('{"prompt": "a", "text": "b"}\n', "", None, "line 1: has a field 'prompt', which is not read"),
        (ASKED, ":answer", "answer", "'answer' would be given and learned too"),
        ('{"text": "a"}\n', "", "text", "'text' would be given and learned too"),
        (ASKED, ":", None, "a column without a name"),
        (ASKED, "", "", "a column without a name"),
    ],
)
def test_lines_of_json_are_all_alike(tmp_path, content, source, prompt, message):
    with pytest.raises(InputError, match=message):
        read_records(f"{written(tmp_path, 'a.jsonl', content)}{source}", prompt)


def test_what_is_given_is_named_or_left_out(tmp_path):
    file = written(tmp_path, "a.jsonl", '{"prompt": "a", "text": "b", "question": "c", "answer": "d"}\n')
    for column, prompt, expected in (
        ("", None, ("d", "a")),
        ("", "question", ("d", "c")),
        (":text", None, ("b", "")),
        (":text", "prompt", ("b", "a")),
    ):
        (record,) = read_records(f"{file}{column}", prompt).items
        assert (record.text, record.prompt) == expected


@pytest.mark.parametrize(
    ("name", "content", "prompt", "message"),
    [
        ("a.csv", "q,a\nx,1\ny,\nz,\n", None, r"no text in 2 of 3 records \(line 3\): left out"),
        (
            "a.csv",
            "q,a\nx,1\ny,\n",
            "q",
            r"no text behind the prompt in 1 of 2 records \(line 3\): read as an",
        ),
        ("a.jsonl", '{"a": "1"}\n{"a": ""}\n', None, r"no text in 1 of 2 records \(line 2\): left out"),
        ("a.fasta", ">one\nAC\n>two\n>three\nC\n", None, r"no text in 1 of 3 records \(line 3\): left out"),
    ],
)
def test_records_without_text_are_noted(tmp_path, name, content, prompt, message):
    source = f"{written(tmp_path, name, content)}{'' if name.endswith('a') else ':a'}"
    with pytest.warns(InputWarning, match=f"{name}: {message}"):
        read_records(source, prompt)


def test_files_that_were_put_together_have_their_header_once(tmp_path):
    one = "\ufeffname,born\r\nAda,1815\r\n"
    with pytest.raises(InputError, match="line 3: is the header again, as where files were put together"):
        read_records(f"{written(tmp_path, 'a.csv', one + one)}:name")


def test_a_column_is_not_given_and_learned(tmp_path):
    file = written(tmp_path, "a.csv", "q,a\n1,2\n")
    with pytest.raises(InputError, match="'q' would be given and learned too"):
        read_records(f"{file}:q", "q")


def test_columns_may_have_colons_in_their_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "a.csv", "a:b,b,a\n1,2,3\n")
    assert [read_records(f"a.csv:{name}").items[0].text for name in ("a:b", "b", "a")] == ["1", "2", "3"]
    kept = read_records("a.csv:a:b")
    assert (kept.name, read_records(kept.path).items) == ("a.csv:a:b", kept.items)
    written(tmp_path, "a.csv:a", "b\n4\n")  # a file that is there is meant, the longest one
    with pytest.raises(InputError, match=r"a.csv:a has no columns, and 'b' is asked for"):
        read_records("a.csv:a:b")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a:b,b\n1,2\n")))
    assert read_records("-:a:b").items[0].text == "1"


@pytest.mark.parametrize(("content", "kind"), [(">one\nACD\n", "FASTA"), (LINES, "JSON Lines")])
def test_lines_that_look_like_another_format_are_noted(tmp_path, content, kind):
    file = written(tmp_path, "data.txt", content)
    with pytest.warns(InputWarning, match=f"data.txt looks like {kind} and is read as lines of text"):
        assert len(read_records(str(file)).items) == 2
