"""Data: decidable languages, documents, the cache of their tokens and their order."""

import itertools
import json
import math
import os
import pathlib

import numpy as np
import pytest
import scipy.stats

from mdmot.data import (
    ShuffledOrder,
    arithmetic,
    brackets,
    count_solutions,
    hold_out_documents,
    read_corpus,
    read_language,
    sudoku,
    templates,
    tokenize,
)
from mdmot.data.corpus import NUM_PIECES
from mdmot.errors import InputError
from mdmot.vocabulary import (
    Bytes,
    Symbols,
    Tokenizer,
    assert_same_vocabulary,
    fingerprint,
    read_tokenizer,
)

SPECS = [
    "arithmetic:digits=2",
    "arithmetic:digits=1,operations=*-+",
    "arithmetic:digits=9,operations=*",
    "brackets:length=12,kinds=3",
    "brackets:length=9,kinds=2,shortest=3",
    "sudoku:size=4",
    "sudoku:size=6",
    "sudoku:size=9",
]


def texts(language, tokens):
    return [language.text(row, "_") for row in tokens]


def is_uniform(outcomes, num_words):
    """Whether draws reach every word about equally often: Pearson's test at 1e-6, five draws a word."""
    _, counts = np.unique(outcomes, axis=0, return_counts=True)
    assert len(outcomes) >= 5 * num_words
    assert len(counts) == num_words
    return scipy.stats.chisquare(counts).pvalue > 1e-6


@pytest.mark.parametrize("spec", SPECS)
def test_draws_are_right_and_repeat_with_their_seed(spec):
    language = read_language(spec)
    tokens = language.draw(1, 300)
    assert tokens.shape == (300, language.length)
    assert language.is_correct(tokens).all()
    np.testing.assert_array_equal(tokens, language.draw(1, 300))
    assert (tokens != language.draw(2, 300)).any()
    assert read_language(language.name).name == language.name
    assert language.draw(0, 0).shape == (0, language.length)
    tokens[:, 0] = language.vocabulary.size  # a mask
    assert not language.is_correct(tokens).any()


@pytest.mark.parametrize("spec", SPECS)
def test_one_changed_token_makes_other_words_wrong(spec):
    language = read_language(spec)
    tokens = language.draw(3, 40)
    rng = np.random.default_rng(0)
    changed = tokens.copy()
    changed[np.arange(40), rng.integers(0, language.length, 40)] = rng.integers(
        0, language.vocabulary.size, 40
    )
    words = {tuple(row) for row in tokens.tolist()}
    same = [tuple(row) in words for row in changed.tolist()]
    if "sudoku" in spec:  # one cell is told by the others
        np.testing.assert_array_equal(language.is_correct(changed), same)
    else:
        assert language.is_correct(changed).sum() < 40


def test_arithmetic_is_all_sums_of_two_digits_and_no_other_text():
    language = arithmetic(digits=2)
    right = {f"{a:02}+{b:02}={a + b:03}" for a in range(100) for b in range(100)}
    assert language.entropy == pytest.approx(math.log(len(right)))
    every = [
        f"{a:02}+{b:02}={c:03}" for a in range(0, 100, 33) for b in range(0, 100, 9) for c in range(200)
    ]
    every += ["12=34+046", "1+234=046", "12+34=0=6", "123+4=046", "12+34+046", "000000000"]
    tokens = np.array([language.vocabulary.encode(text) for text in every])
    np.testing.assert_array_equal(language.is_correct(tokens), [text in right for text in every])
    tokens = np.array([language.vocabulary.encode(text) for text in sorted(right)[::50]])
    assert language.is_correct(tokens).all()


def test_arithmetic_draws_every_equation_alike():
    language = arithmetic(digits=1, operations="-*+")
    right = [
        f"{a}{s}{b}={r:02}" for a in range(10) for b in range(10) for s, r in (("*", a * b), ("+", a + b))
    ]
    right += [f"{a}-{b}={a - b:02}" for a in range(10) for b in range(a + 1)]
    assert language.entropy == pytest.approx(math.log(len(right)))
    tokens = language.draw(0, 20 * len(right))
    assert set(texts(language, tokens)) == set(right)
    assert is_uniform(tokens, len(right))


def balanced(text):
    """The words that are left when pairs are crossed out again and again."""
    while (shorter := text.replace("()", "").replace("[]", "")) != text:
        text = shorter
    return text == ""


def test_brackets_are_all_balanced_words():
    language = brackets(length=6, kinds=2)
    every = np.array(list(itertools.product(range(4), repeat=6)))
    is_balanced = [balanced(text) for text in texts(language, every)]
    np.testing.assert_array_equal(language.is_correct(every), is_balanced)
    # Catalan's third number times two kinds for each of three pairs.
    assert sum(is_balanced) == 5 * 2**3
    assert language.entropy == pytest.approx(math.log(40))
    assert is_uniform(language.draw(0, 2000), 40)


@pytest.mark.parametrize(("length", "kinds", "shortest"), [(5, 2, 0), (4, 2, 3), (6, 1, 2)])
def test_padded_brackets_are_all_shorter_words(length, kinds, shortest):
    language = brackets(length, kinds, shortest)
    every = np.array(list(itertools.product(range(2 * kinds + 1), repeat=length)))
    right = []
    for text in texts(language, every):
        word = text.rstrip(".")
        right.append("." not in word and len(word) >= shortest and balanced(word))
    np.testing.assert_array_equal(language.is_correct(every), right)
    assert language.entropy == pytest.approx(math.log(sum(right)))
    assert is_uniform(language.draw(0, 50 * sum(right)), sum(right))


@pytest.mark.parametrize(
    ("length", "kinds", "shortest", "depth"), [(8, 1, None, 2), (6, 2, None, 1), (7, 2, 2, 2)]
)
def test_shallow_brackets_are_all_words_that_do_not_go_deeper(length, kinds, shortest, depth):
    deep, language = brackets(length, kinds, shortest), brackets(length, kinds, shortest, depth)
    every = np.array(list(itertools.product(range(language.vocabulary.size), repeat=length)))
    step = np.select([every < kinds, every < 2 * kinds], [1, -1], 0)
    right = deep.is_correct(every) & (step.cumsum(axis=1).max(axis=1) <= depth)
    np.testing.assert_array_equal(language.is_correct(every), right)
    num_words = int(right.sum())
    assert language.entropy == pytest.approx(math.log(num_words))
    assert is_uniform(language.draw(0, 50 * num_words), num_words)


def test_direct_calls_of_brackets_are_checked_too():
    for wrong, message in (((8, 5), "1 to 4"), ((1, 1, 0), "2 to 4096"), ((8, 1, None, 0), "1 to 256")):
        with pytest.raises(InputError, match=message):
            brackets(*wrong)


def test_long_brackets_have_the_number_of_catalan():
    # C_64 = binom(128, 64) / 65, by SciPy's logarithm of the gamma function.
    log_catalan = scipy.special.gammaln(129) - 2 * scipy.special.gammaln(65) - math.log(65)
    language = brackets(length=128, kinds=4)
    assert language.entropy == pytest.approx(log_catalan + 64 * math.log(4), rel=1e-12)
    assert language.is_correct(language.draw(0, 50)).all()


def is_solved(grid, high, wide):
    """By sets of the cells of each row, column and box."""
    size = high * wide
    lines = [{grid[r][c] for c in range(size)} for r in range(size)]
    lines += [{grid[r][c] for r in range(size)} for c in range(size)]
    lines += [
        {grid[r + i][c + j] for i in range(high) for j in range(wide)}
        for r in range(0, size, high)
        for c in range(0, size, wide)
    ]
    return all(len(line) == size for line in lines)


def latin_squares(rows=()):
    """All 4x4 squares whose rows and columns have four digits."""
    if len(rows) == 4:
        yield rows
        return
    for row in itertools.permutations(range(4)):
        if all(a != b for other in rows for a, b in zip(row, other, strict=True)):
            yield from latin_squares((*rows, row))


def test_small_sudoku_are_the_288_grids_each_alike():
    language = sudoku(4)
    latin = list(latin_squares())
    solved = [grid for grid in latin if is_solved(grid, 2, 2)]
    assert (len(latin), len(solved)) == (576, 288)
    right = language.is_correct(np.array(latin).reshape(-1, 16))
    np.testing.assert_array_equal(right, [is_solved(grid, 2, 2) for grid in latin])
    assert language.entropy == pytest.approx(math.log(288))
    tokens = language.draw(0, 20 * 288)
    assert {tuple(row) for row in tokens.tolist()} == {sum(grid, ()) for grid in solved}
    assert is_uniform(tokens, 288)


@pytest.mark.parametrize(("high", "wide"), [(2, 3), (3, 3)])
def test_large_sudoku_are_solved_and_their_symmetries_alike(high, wide):
    size = high * wide
    tokens = sudoku(size).draw(0, 4000)
    grids = tokens.reshape(-1, size, size)
    assert all(is_solved(grid, high, wide) for grid in grids[:200].tolist())
    # Of 6x6 there are 28,200,960: two of 4,000 are seldom the same.
    assert len(np.unique(tokens, axis=0)) >= 0.99 * len(tokens)
    for cell in ((0, 0), (size // 2, size - 2), (size - 1, size - 1)):
        counts = np.bincount(grids[:, cell[0], cell[1]], minlength=size)
        assert scipy.stats.chisquare(counts).pvalue > 1e-6
    swapped = grids.copy()
    swapped[:, [0, 3]] = swapped[:, [3, 0]]  # columns stay right, boxes do not
    assert not sudoku(size).is_correct(swapped.reshape(-1, size**2)).all()


def test_templates_give_so_many_tokens_at_even_places():
    tokens = sudoku(4).draw(0, 3000)
    puzzles = templates(1, tokens, given=5, mask_id=4)
    is_given = puzzles != 4
    assert (is_given.sum(axis=1) == 5).all()
    np.testing.assert_array_equal(puzzles[is_given], tokens[is_given])
    counts = is_given.sum(axis=0)
    # Each cell is given with probability 5/16, almost independently.
    assert (np.abs(counts - 3000 * 5 / 16) < 5 * math.sqrt(3000 * 5 / 16 * 11 / 16)).all()
    with pytest.raises(InputError, match="0 to 16"):
        templates(0, tokens, given=17, mask_id=4)


def test_solutions_of_a_puzzle_are_counted():
    grids = sudoku(4).draw(0, 288 * 20)
    every = np.unique(grids, axis=0)
    for puzzle in templates(2, every[:10], given=5, mask_id=4):
        fitting = ((puzzle == 4) | (puzzle == every)).all(axis=1).sum()
        assert count_solutions(puzzle, 1000) == fitting
        assert count_solutions(puzzle, 2) == min(2, fitting)
    clash = np.full(16, 4)
    clash[:2] = 0
    assert count_solutions(clash, 2) == 0
    # 17 clues, the fewest that tell a grid; from G. Royle's list.
    hard = "000000010400000000020000000000050407008000300001090000300400200050100000000806000"
    assert count_solutions(np.array([int(d) - 1 for d in hard]), 2) == 1


@pytest.mark.parametrize("size", [4, 6, 9])
def test_questions_of_a_sudoku_have_one_answer(size):
    language = sudoku(size)
    grids = language.draw(3, 20)
    questions = language.questions(0, grids)
    is_given = questions < size
    assert np.array_equal(questions[is_given], grids[is_given])
    assert all(count_solutions(question, 2) == 1 for question in questions)
    assert len({tuple(row) for row in is_given.tolist()}) == 20
    # The last cell of its order was needed: without some one cell there is another solution.
    for question in questions[:3]:
        without = np.where(np.eye(size**2, dtype=bool), size, question)[question < size]
        assert max(count_solutions(fewer, 2) for fewer in without) == 2


def test_questions_of_arithmetic_are_what_comes_after_the_equals_sign():
    language = arithmetic(digits=2, operations="-")
    rows = language.draw(0, 5)
    texts = [language.text(row, "?") for row in language.questions(0, rows)]
    assert texts == [language.text(row, "?")[:6] + "??" for row in rows]
    with pytest.raises(InputError, match="a wrong sequence"):
        language.questions(0, rows[:, ::-1])
    with pytest.raises(InputError, match="no questions with one right answer"):
        brackets(length=4).questions(0, brackets(length=4).draw(0, 2))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("chess", "arithmetic, brackets, sudoku"),
        ("sudoku:size=5", "4, 6 or 9"),
        ("sudoku:box=2", "sudoku has no option 'box'; it has size"),
        ("sudoku:size=4,size=4", "given twice"),
        ("sudoku:size=four", "size is 'four'; expected a whole number from 4 to 9, as in size=4"),
        ("arithmetic:digits=10", "1 to 9"),
        ("arithmetic:operations=/", "some of"),
        ("arithmetic:operations=++", "each once"),
        ("brackets:length=7", "even number"),
        ("brackets:length=999999998", "2 to 4096"),
        ("brackets:length=999999998,shortest=0", "2 to 4096"),
        ("brackets:length=8,kinds=5", "1 to 4"),
        ("brackets:length=7,shortest=7", "smaller shortest"),
        ("brackets:length=8,shortest=9", "0 to the length"),
        ("brackets:length=8,depth=0", "depth is '0'; expected a whole number from 1 to 256, as in depth=1"),
    ],
)
def test_unknown_languages_are_refused_in_one_line(spec, message):
    with pytest.raises(InputError, match=message) as error:
        read_language(spec)
    assert "\n" not in str(error.value)


def test_wrong_calls_of_a_language_are_refused():
    with pytest.raises(InputError, match="pass sequences of that length"):
        sudoku(4).is_correct(np.zeros((1, 15), int))
    with pytest.raises(InputError, match="at least 0"):
        sudoku(4).draw(-1, 1)


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def test_folder_is_read_in_the_order_of_names_without_binary_files(tmp_path):
    write(
        tmp_path,
        {
            "b/z.tex": "3",
            "b.py": "2",
            "a": "déjà vu",
            "tests/c.md": "4",
            "empty.txt": "",
            "picture.png": b"\x89PNG\r\n\x00\x01",
            "packed": bytes(range(128, 256)),
            ".git/config": "x",
            ".hidden": "x",
        },
    )
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path)
    corpus = read_corpus(tmp_path)
    assert [d.path for d in corpus.documents()] == ["a", "b.py", "b/z.tex", "tests/c.md"]
    assert [d.content for d in corpus.documents()] == ["déjà vu".encode(), b"2", b"3", b"4"]
    assert corpus.num_bytes == 12
    assert list(corpus.skipped) == [
        "empty.txt: empty",
        "packed: binary",
        "picture.png: binary",
        "pipe: no file",
    ]
    other = tmp_path.parent / "other"
    write(other, {d.path: d.content for d in corpus.documents()})
    assert read_corpus(other).fingerprint == corpus.fingerprint
    write(other, {"b.py": "5"})
    assert read_corpus(other).fingerprint != corpus.fingerprint


def test_document_that_changes_is_noticed(tmp_path):
    write(tmp_path, {"a": "before", "b": "text"})
    corpus = read_corpus(tmp_path)
    write(tmp_path, {"a": "behind"})
    with pytest.raises(InputError, match="has changed"):
        list(corpus.documents())


@pytest.mark.parametrize(
    "content", ["a line\n" * 40_000, "é" * 5000, "€\n", "x", bytes(range(0x80, 0xC0)) * 2 + b"a" * 500]
)
def test_file_is_cut_into_documents_that_join_to_it(tmp_path, content):
    write(tmp_path, {"text": content})
    corpus = read_corpus(tmp_path / "text")
    parts = [document.content for document in corpus.documents()]
    assert b"".join(parts) == (tmp_path / "text").read_bytes()
    if len(parts[0]) > 100:
        assert NUM_PIECES <= len(parts) < 2 * NUM_PIECES
        assert all(part.decode() for part in parts)  # no character is cut
    assert [document.path for document in corpus.documents()][:1] == ["text#000000"]


def test_the_standard_library_is_read_without_its_tests():
    corpus = read_corpus(None)
    paths = [entry.path for entry in corpus.entries]
    assert {"ast.py", "json/decoder.py"} <= set(paths)
    assert not [path for path in paths if "test" in pathlib.PurePosixPath(path).parts[:-1]]
    assert not [path for path in paths if not path.endswith(".py") or "site-packages" in path]
    assert corpus.provenance["licence"] == "PSF-2.0"
    assert str(corpus.provenance["name"]).startswith("standard library of ")
    held_out = hold_out_documents(corpus, 0.1)[1]
    assert 0.05 < len(held_out.entries) / len(paths) < 0.15


def test_held_out_documents_are_told_by_their_names_alone(tmp_path):
    names = [f"{i}.txt" for i in range(200)]
    write(tmp_path, {name: name for name in names})
    corpus = read_corpus(tmp_path)
    train, held_out = hold_out_documents(corpus, 0.2)
    assert sorted([*train.entries, *held_out.entries]) == sorted(corpus.entries)
    for name in names[:100]:
        (tmp_path / name).unlink()
    write(tmp_path, dict.fromkeys(names[100:], "other content"))
    fewer = hold_out_documents(read_corpus(tmp_path), 0.2)[1]
    assert [e.path for e in fewer.entries] == [e.path for e in held_out.entries if int(e.path[:-4]) >= 100]
    # A binomial number of 200 at .2, within five standard deviations.
    assert abs(len(held_out.entries) - 40) < 5 * math.sqrt(200 * 0.2 * 0.8)


def test_both_parts_have_a_document(tmp_path):
    write(tmp_path, {"a": "1", "b": "2"})
    corpus = read_corpus(tmp_path)
    for share in (1e-9, 0.5, 1 - 1e-9):
        assert [len(part.entries) for part in hold_out_documents(corpus, share)] == [1, 1]
    with pytest.raises(InputError, match="between 0 and 1"):
        hold_out_documents(corpus, 1.0)
    (tmp_path / "b").unlink()
    with pytest.raises(InputError, match="pass more text"):
        hold_out_documents(read_corpus(tmp_path), 0.5)


def test_what_is_no_text_is_refused_in_one_line(tmp_path):
    write(tmp_path, {"folder/zip": b"PK\0", "empty": b"", "none/x": b""})
    for name, message in {
        "folder/zip": "binary",
        "folder": "binary, as zip|as zip: binary",
        "empty": "is empty",
        "none": "x: empty",
        "absent": "No such file",
    }.items():
        with pytest.raises(InputError, match=message) as error:
            read_corpus(tmp_path / name)
        assert "pass --text PATH" in str(error.value)
        assert "\n" not in str(error.value)


def test_cache_is_used_until_text_or_vocabulary_change(tmp_path):
    write(tmp_path, {"text/a": "abba", "text/b": "babab"})
    cache = tmp_path / "cache"
    corpus, letters = read_corpus(tmp_path / "text"), Symbols(("a", "b"))
    tokenized = tokenize(corpus, letters, cache)
    assert isinstance(tokenized.tokens, np.memmap)
    assert tokenized.tokens.dtype == np.uint8
    assert tokenized.tokens.tolist() == [0, 1, 1, 0, 1, 0, 1, 0, 1]
    assert tokenized.starts.tolist() == [0, 4, 9]
    assert (tokenized.paths, tokenized.num_bytes, tokenized.bytes_per_token) == (("a", "b"), 9, 1.0)
    memory = tokenize(corpus, letters, None)
    np.testing.assert_array_equal(memory.tokens, tokenized.tokens)
    np.testing.assert_array_equal(memory.starts, tokenized.starts)

    (file,) = cache.glob("*.tokens")
    made = file.stat().st_mtime_ns
    tokenize(read_corpus(tmp_path / "text"), letters, cache)
    assert file.stat().st_mtime_ns == made
    assert tokenize(corpus, Bytes(), cache).tokens.tobytes() == b"abbababab"
    assert len(list(cache.glob("*.tokens"))) == 2
    write(tmp_path, {"text/b": "aaaaa"})
    assert (
        tokenize(read_corpus(tmp_path / "text"), letters, cache).tokens.tolist() == [0, 1, 1, 0] + [0] * 5
    )
    assert len(list(cache.glob("*.tokens"))) == 3


@pytest.mark.parametrize("damage", ["cut", "no index", "other index", "no tokens"])
def test_damaged_cache_is_made_again(tmp_path, damage):
    write(tmp_path, {"text/a": "abba"})
    cache, corpus = tmp_path / "cache", read_corpus(tmp_path / "text")
    tokenize(corpus, Bytes(), cache)
    (tokens,), (index,) = cache.glob("*.tokens"), cache.glob("*.json")
    if damage == "cut":
        tokens.write_bytes(b"ab")
    elif damage == "no index":
        index.write_text("{")
    elif damage == "other index":
        index.write_text(json.dumps({"dtype": "|u1", "sizes": [1, 3]}))
    else:
        tokens.unlink()
    assert tokenize(corpus, Bytes(), cache).tokens.tobytes() == b"abba"
    assert sorted(path.suffix for path in cache.iterdir()) == [".json", ".tokens"]


def test_text_outside_the_vocabulary_leaves_no_cache(tmp_path):
    write(tmp_path, {"text/a": "abba", "text/b": "abc"})
    with pytest.raises(InputError, match=r"^b: 'c' not in the vocabulary"):
        tokenize(read_corpus(tmp_path / "text"), Symbols(("a", "b")), tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_windows_follow_each_other(tmp_path):
    write(tmp_path, {"a": "abcd", "b": "efg"})
    text = tokenize(read_corpus(tmp_path), Bytes(), None)
    assert [bytes(row) for row in text.windows(3)] == [b"abc", b"def"]
    assert [bytes(row) for row in text.windows(3, offset=1)] == [b"bcd", b"efg"]
    assert text.windows(3).base is not None
    with pytest.raises(InputError, match=r"7 tokens in 2 documents, less than one window of 8"):
        text.windows(8)
    for length, offset in ((0, 0), (3, 3), (3, -1)):
        with pytest.raises(InputError, match="offset below it"):
            text.windows(length, offset)


@pytest.mark.parametrize("num_items", [1, 2, 3, 10, 64, 1000])
def test_every_epoch_is_a_permutation_of_its_own(num_items):
    order = ShuffledOrder(num_items, seed=5)
    epochs = order.items(np.arange(3 * num_items)).reshape(3, num_items)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(np.arange(num_items), (3, 1)))
    if num_items >= 10:
        assert (epochs[0] != epochs[1]).any()
        assert (ShuffledOrder(num_items, seed=6).items(np.arange(num_items)) != epochs[0]).any()


def test_permutations_are_evenly_spread():
    # All orders of four items, over epochs and over seeds: Pearson's test at 1e-6.
    epochs = ShuffledOrder(4, seed=0).items(np.arange(4 * 4800)).reshape(-1, 4)
    seeds = np.array([ShuffledOrder(4, seed=s).items(np.arange(4)) for s in range(2400)])
    assert is_uniform(epochs, 24)
    assert is_uniform(seeds, 24)
    # Pairs (place, item) and neighbours of a longer order.
    epochs = ShuffledOrder(13, seed=1).items(np.arange(13 * 4000)).reshape(-1, 13)
    for i in (0, 6, 12):
        assert is_uniform(epochs[:, i], 13)
    assert is_uniform((epochs[:, 1] - epochs[:, 0]) % 13, 12)


def test_shards_share_the_batches_and_any_step_is_reached_at_once():
    whole = ShuffledOrder(7, seed=3)
    halves = [ShuffledOrder(7, seed=3, shard=i, num_shards=2) for i in range(2)]
    steps = []
    for step in range(6):
        batch = whole.batch(step, 4)
        np.testing.assert_array_equal(batch[::2], halves[0].batch(step, 4))
        np.testing.assert_array_equal(batch[1::2], halves[1].batch(step, 4))
        steps.append(batch)
    np.testing.assert_array_equal(np.concatenate(steps), whole.items(np.arange(24)))
    far = ShuffledOrder(10**12, seed=0).batch(10**9, 4)
    assert ((far >= 0) & (far < 10**12)).all()
    with pytest.raises(InputError, match="the shards can share"):
        halves[0].batch(0, 3)
    with pytest.raises(InputError, match="at least 1 item"):
        ShuffledOrder(0, seed=0)


def splitmix(x):
    """The finaliser of SplitMix64 in whole numbers of Python."""
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
    return x ^ x >> 31


def feistel(number, key):
    """Six rounds on halves of three bits."""
    left, right = divmod(number, 8)
    for turn in range(6):
        turned = splitmix(((key + turn * 0x9E3779B97F4A7C15) % 2**64) ^ right) % 8
        left, right = right, left ^ turned
    return 8 * left + right


def test_order_is_a_feistel_network_that_walks_on():
    seed, epoch, num_items = 11, 2, 37
    key = splitmix(splitmix(seed + 0x9E3779B97F4A7C15) ^ epoch)
    expected = []
    for place in range(num_items):
        number = feistel(place, key)
        while number >= num_items:
            number = feistel(number, key)
        expected.append(number)
    positions = np.arange(epoch * num_items, (epoch + 1) * num_items)
    assert ShuffledOrder(num_items, seed).items(positions).tolist() == expected


@pytest.fixture(scope="module")
def byte_level():
    tokenizers = pytest.importorskip("tokenizers")
    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=271,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<eos>"],
        show_progress=False,
    )
    model.train_from_iterator(["to be or not to be, naïve"] * 5, trainer)
    model.enable_truncation(3)
    model.enable_padding(length=9)
    return Tokenizer(model.to_str())


def test_tokenizer_reads_back_what_it_wrote(byte_level):
    text = "to be; naïve 東京 <eos> \x00"
    tokens = byte_level.encode(text)
    assert byte_level.size == 271
    assert len(tokens) < len(text.encode())
    assert max(tokens) < byte_level.size
    assert byte_level.decode(tokens, "_") == text


def test_tokenizer_keeps_masks_apart(byte_level):
    tokens = byte_level.encode("to ·· be·", "·")
    assert tokens.count(byte_level.size) == 3
    assert byte_level.decode(tokens, "·") == "to ·· be·"
    assert byte_level.decode(tokens, "[MASK]") == "to [MASK][MASK] be[MASK]"
    first, second = byte_level.encode("ï")[:1], byte_level.encode("東")[1:2]
    # Bytes of two characters that a mask cuts.
    assert byte_level.decode([*first, byte_level.size, *second], "·") in ("\ufffd·\ufffd", "ï·\ufffd")
    # The text that stands for the mask inside is no mask when it is text.
    assert byte_level.size not in byte_level.encode("\ue000mask\ue000")
    with pytest.raises(InputError, match="mask sign"):
        byte_level.encode("a b", " ")
    with pytest.raises(InputError, match="surrogates"):
        byte_level.encode("\ud800")


def test_words_stay_apart_beside_masks():
    pytest.importorskip("tokenizers")
    vocabulary = {"[UNK]": 0, "to": 1, "be": 2, "##at": 3}
    content = {
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
    }
    words = Tokenizer(json.dumps(content))
    assert words.encode("to _ beat", "_") == [1, 4, 2, 3]
    assert words.decode([1, 4, 2, 3], "_") == "to _ beat"
    content["model"]["vocab"] = {"[UNK]": 0, "to": 4, "be": 2, "##at": 5}
    with pytest.raises(InputError, match="have gaps"):
        Tokenizer(json.dumps(content))


def test_tokenizer_files_and_vocabularies_are_told_apart(byte_level, tmp_path):
    write(tmp_path, {"tokenizer.json": byte_level.content, "bad.json": "{}", "binary": b"\xff"})
    assert read_tokenizer(tmp_path) == read_tokenizer(tmp_path / "tokenizer.json") == byte_level
    assert fingerprint(read_tokenizer(tmp_path)) == fingerprint(byte_level) != fingerprint(Bytes())
    for name, message in {
        "bad.json": "no tokenizer",
        "binary": "no UTF-8",
        "absent": "cannot be read",
    }.items():
        with pytest.raises(InputError, match=message) as error:
            read_tokenizer(tmp_path / name)
        assert "\n" not in str(error.value)
    assert_same_vocabulary(read_tokenizer(tmp_path), byte_level, "tokenizer.json")
    with pytest.raises(InputError, match=r"271 tokenizer tokens .* but the model one of 256 bytes"):
        assert_same_vocabulary(byte_level, Bytes(), "tokenizer.json")


def test_tokenizer_fills_the_cache_in_two_bytes_a_token(byte_level, tmp_path):
    write(tmp_path, {"text/a": b"to be or \xff not", "text/b": "to be"})
    text = tokenize(read_corpus(tmp_path / "text"), byte_level, tmp_path / "cache")
    assert text.tokens.dtype == np.uint16
    assert (
        byte_level.decode(text.tokens[text.starts[0] : text.starts[1]].tolist(), "_")
        == "to be or \ufffd not"
    )
    assert text.bytes_per_token == (14 + 5) / text.tokens.size > 1


def test_folders_within_a_text_are_left_out_of_it(tmp_path):
    (tmp_path / "text" / "model").mkdir(parents=True)
    (tmp_path / "text" / "a.txt").write_text("a text")
    (tmp_path / "text" / "model" / "b.txt").write_text("no text")
    corpus = read_corpus(tmp_path / "text")
    apart = corpus.without(tmp_path / "text" / "model", tmp_path / "elsewhere")
    assert [entry.path for entry in apart.entries] == ["a.txt"]
    assert read_corpus(tmp_path / "text" / "a.txt").without(tmp_path).entries
    with pytest.raises(InputError, match="is the folder of the text and of a model, too"):
        corpus.without(tmp_path / "text")
    (tmp_path / "text" / "a.txt").unlink()
    with pytest.raises(InputError, match="has no text but that of"):
        read_corpus(tmp_path / "text").without(tmp_path / "text" / "model")
