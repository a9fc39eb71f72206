"""The reader of pickles, attacked: only InputError comes out, and the process stays as it was.

What a pickle could change is compared before and after by a fingerprint of the types, functions and
modules in reach. The fuzzing runs in a process whose memory is limited.
"""

import collections
import io
import pickle
import pickletools
import subprocess
import sys
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mdmot.errors import InputError
from mdmot.models.pretrained import convert_antiberty, old_pickles, pickle_program, unpickle
from mdmot.models.pretrained.unpickle import read_pickled

NUMBERS = np.arange(6, dtype=np.float32).reshape(2, 3)
ALLOWED_BYTES = 2**31
"""Of the process that is fuzzed, beyond what its libraries take."""


def name(module, text):
    return pickle.GLOBAL + f"{module}\n{text}\n".encode()


def plain(value):
    """A value's pickle without its frame, to be put into another."""
    return pickle.dumps(value, 2)[2:-1]


def tensor(key="0", shape=(2, 3), stride=(3, 1), size=6, kind="FloatStorage", offset=0, part=b""):
    """What torch.save writes for a tensor; the old format adds what its storage is a part of."""
    where = plain("storage") + name("torch", kind) + plain(key) + plain("cpu") + plain(size) + part
    where = pickle.MARK + where + pickle.TUPLE + pickle.BINPERSID
    rest = b"".join(map(plain, (offset, shape, stride, False)))
    hooks = name("collections", "OrderedDict") + pickle.EMPTY_TUPLE + pickle.REDUCE
    rebuild = name("torch._utils", "_rebuild_tensor_v2")
    return rebuild + pickle.MARK + where + rest + hooks + pickle.TUPLE + pickle.REDUCE


def dictionary(items, ordered=False):
    begin = name("collections", "OrderedDict") + b")R" if ordered else pickle.EMPTY_DICT
    return begin + pickle.MARK + b"".join(plain(key) + value for key, value in items.items()) + b"u"


def archive(program, storages=None, **options):
    """A file as torch.save writes it, of a pickle without its frame."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", **options) as file:
        file.writestr("archive/data.pkl", pickle.PROTO + b"\x02" + program + pickle.STOP)
        for key, numbers in ({"0": NUMBERS} if storages is None else storages).items():
            file.writestr(f"archive/data/{key}", numbers.tobytes())
    content.seek(0)
    return content


MACHINE = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


def old(program, storages=None, version=1001, keys=None, magic=old_pickles.MAGIC):
    """The same as torch.save wrote it before PyTorch 1.6."""
    storages = {"0": NUMBERS} if storages is None else storages
    keys = list(storages) if keys is None else keys
    pickles = [pickle.dumps(version, 2), pickle.dumps(MACHINE, 2)]
    pickles += [pickle.PROTO + b"\x02" + program + pickle.STOP, pickle.dumps(keys, 2)]
    parts = [numbers.size.to_bytes(8, "little") + numbers.tobytes() for numbers in storages.values()]
    return io.BytesIO(b"".join([magic, *pickles, *parts]))


def standing():
    """What a pickle might change: types of numbers, and all that the reader's modules hold."""
    dtypes = [np.dtype(kind) for kind in (jnp.bfloat16, np.float32, np.int64, np.bool_)]
    found = [(kind.itemsize, kind.alignment, kind.str, str(kind.fields)) for kind in dtypes]
    for module in (pickle_program, unpickle, old_pickles, collections, pickle, sys.modules[__name__]):
        for key, value in sorted(vars(module).items()):
            inside = dict(getattr(value, "__dict__", {})) if callable(value) else {}
            found.append((module.__name__, key, id(value), sorted(inside)))
            found.append((getattr(value, "__defaults__", None), getattr(value, "__kwdefaults__", None)))
    return repr(found)


def refused(content):
    """The one line of a file that is refused, with nothing changed."""
    before = standing()
    with pytest.raises(InputError) as caught:
        read_pickled(content)
    assert standing() == before
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.parametrize("written", [archive, old])
def test_what_torch_writes_is_read(written):
    """State dicts with the versions of their modules, parameters, views and numbers in common."""
    parameter = name("torch._utils", "_rebuild_parameter") + pickle.MARK + tensor() + plain(True)
    parameter += name("collections", "OrderedDict") + b")R" + pickle.TUPLE + pickle.REDUCE
    items = {"a": parameter, "b": tensor(shape=(3, 2), stride=(1, 3)), "c": tensor(shape=(), stride=())}
    items |= {"d": tensor(shape=(2,), stride=(2,), offset=3), "e": tensor("1", kind="BFloat16Storage")}
    half = NUMBERS.astype(jnp.bfloat16)
    versions = dictionary({"": dictionary({"version": plain(1)})}, ordered=True)
    state = dictionary({"_metadata": versions})
    found = read_pickled(
        written(dictionary(items, ordered=True) + state + pickle.BUILD, {"0": NUMBERS, "1": half})
    )
    expected = {"a": NUMBERS, "b": NUMBERS.T, "c": np.float32(0), "d": NUMBERS[1, ::2], "e": half}
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key].dtype == value.dtype
        np.testing.assert_array_equal(found[key], value)


def test_old_files_are_read_whole_or_not_at_all():
    """Each part has to be where the pickles before it say, and nothing may be left."""
    program, whole = dictionary({"x": tensor(part=plain(None))}), {"0": NUMBERS, "1": NUMBERS}
    np.testing.assert_array_equal(read_pickled(old(program))["x"], NUMBERS)
    content = old(program).getvalue()
    for cut in range(1, len(content), 7):
        refused(io.BytesIO(content[:-cut]))
    assert "tells of more than" in refused(io.BytesIO(content[:-1]))
    assert "has 1 bytes behind its numbers" in refused(io.BytesIO(content + b"0"))
    assert "is not of version 1001" in refused(old(program, version=1002))
    assert "is not of version 1001" in refused(old(program, version="1001"))
    assert "has not the 6 numbers" in refused(old(program, {"0": NUMBERS[:1]}))
    for storages, keys in ((whole, None), (whole, ["0", "0"]), ({}, None), (None, ["1"]), (None, [0])):
        assert "has not the storages of its tensors" in refused(old(program, storages, keys=keys))
    assert "no dictionary of tensors" in refused(old(program, keys={"0": 1}))
    assert "no dictionary of tensors" in refused(old(dictionary({"x": tensor(), "y": plain(5)})))
    assert "no pickled tensors" in refused(old(dictionary({"x": tensor(part=plain((1, 2)))})))
    assert "no pickled tensors" in refused(old(program, magic=pickle.dumps(0x1950A86A20F9469CFC6D, 2)))
    many = {str(k): tensor() for k in range(20)}
    assert "take 480 bytes out of 24" in refused(old(dictionary(many)))
    # A size beyond the file is compared, not made.
    bomb = old(dictionary({"x": tensor(size=2**60)})).getvalue()
    told = bomb[: -NUMBERS.nbytes - 8] + (2**60).to_bytes(8, "little") + NUMBERS.tobytes()
    assert "tells of more than" in refused(io.BytesIO(told))
    call = name("os", "mkdir") + plain("proof") + pickle.TUPLE1 + pickle.REDUCE
    assert "os.mkdir, which is no tensor" in refused(old(dictionary({"x": call})))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_dictionaries_are_read_in_every_protocol(protocol):
    """Names are operations of their own in newer ones."""
    program = pickle.dumps(collections.OrderedDict(), protocol)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("archive/data.pkl", program)
    assert read_pickled(content) == {}


ATTACKS = {
    "a type of numbers": name("torch", "BFloat16Storage"),
    "a function": name("torch._utils", "_rebuild_tensor_v2"),
    "a parameter's function": name("torch._utils", "_rebuild_parameter"),
    "a class": name("collections", "OrderedDict"),
    "a tensor": tensor(),
}
STATES = {
    "a dtype's state": (3, "<", None, None, None, 4096, 1, 0),
    "attributes": (None, {"__defaults__": (1,), "items": 5, "__module__": "x"}),
    "a dictionary": {"__dict__": 1, "__defaults__": (1,)},
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("victim", ATTACKS)
def test_no_state_reaches_anything(victim, state):
    attack = ATTACKS[victim] + plain(STATES[state]) + pickle.BUILD
    assert "is no pickled tensors" in refused(archive(attack + pickle.POP + dictionary({"x": tensor()})))
    assert "is no pickled tensors" in refused(archive(dictionary({"x": attack})))


def test_a_dictionary_keeps_its_methods():
    program = dictionary({"x": tensor()}, ordered=True) + plain({"items": 5, "__class__": 5}) + pickle.BUILD
    np.testing.assert_array_equal(read_pickled(archive(program))["x"], NUMBERS)


@pytest.mark.parametrize("operation", [o for o in pickletools.opcodes if o.name not in ("STOP", "FRAME")])
def test_operations_that_no_tensor_needs_are_refused(operation):
    known = {*pickle_program._PUSHED, *pickle_program._STEPS}
    if operation.name in known:
        return
    argument = b"" if operation.arg is None else b"1\n1\n\0\0\0\0\0\0"
    message = refused(archive(operation.code.encode("latin-1") + argument))
    assert f"operation {operation.name}," in message or "is no pickled tensors" in message


def test_sizes_are_compared_before_anything_is_read():
    """None of these takes more memory than the file has bytes, whatever it tells."""
    zeros = {"0": np.zeros(2**20, np.uint8)}
    packed = archive(dictionary({"x": tensor()}), zeros, compression=zipfile.ZIP_DEFLATED)
    assert "compressed parts" in refused(packed)
    assert "has not the 6 numbers" in refused(archive(dictionary({"x": tensor()}), zeros))
    assert "has not the 7 numbers" in refused(archive(dictionary({"x": tensor(size=7)})))
    many = {str(k): tensor() for k in range(20)}
    assert "take 480 bytes out of 24" in refused(archive(dictionary(many)))
    tied = read_pickled(archive(dictionary({str(k): tensor() for k in range(8)})))
    assert len(tied) == 8
    for wrong in ((2**70,), (-1,), ("1",), (None,)):
        refused(archive(dictionary({"x": tensor(shape=wrong, stride=(1,))})))
    assert read_pickled(archive(dictionary({"x": tensor(shape=(0, 9), stride=(9, 1))})))["x"].size == 0
    content = bytearray(archive(dictionary({"x": tensor()})).getvalue())
    at = content.rindex(b"PK\x01\x02")
    content[at + 20 : at + 28] = b"\xff\xff\xff\x7f" * 2  # the sizes in the table of contents
    assert "tells of more than" in refused(io.BytesIO(content))
    overlong = archive(b"(" * (pickle_program.MOST_BYTES + 1))
    assert "more than" in refused(overlong)


@pytest.mark.parametrize(
    "program",
    [
        b"".join(b"h\0h\0\x86q\0" if k else b")q\0" for k in range(200)),  # pairs of pairs of pairs
        b")" + b"\x85" * 10**4,
        b"]" * 10**4 + b"a" * 10**4,
        b"]q\0h\0a" * 100,
        b"}" + b")" + b"\x85" * 10**4 + b"Ns",
        plain("storage") + b")" + b"\x85" * 10**4 + b"\x87Q",
        b"\x8b\xff\xff\xff\x7f",
        b"\x8a\xff" + b"\x7f" * 255,
        b"\x8b" + (2**20).to_bytes(4, "little") + b"\x7f" * 2**20,
        b"\x8d" + b"\xff" * 7 + b"\x7f",
        b"\x8e" + b"\xff" * 7 + b"\x7f",
        b"\x95" + b"\xff" * 8 + b"N",
        b"r\xff\xff\xff\xff",
        b"I" + b"9" * 10**4 + b"\n",
        b"0" * 10,
        b"u",
        b"}(u(u(((t",
    ],
)
def test_bombs_are_refused(program):
    refused(archive(program))
    refused(archive(dictionary({"x": program})))


def test_names_that_safetensors_cannot_hold_are_refused():
    for key in ("\ud800", "__metadata__", "a\nb"):
        assert "a tensor has the name" in refused(archive(dictionary({key: tensor()})))


def test_a_wheel_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("mdmot.models.pretrained.convert.MOST_BYTES", 2**20)
    with zipfile.ZipFile(tmp_path / "a.whl", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("antiberty/trained_models/x/pytorch_model.bin", bytes(2**20 + 1))
    with pytest.raises(InputError, match="has 1048577 bytes, more than 1048576"):
        convert_antiberty(tmp_path / "a.whl", tmp_path / "folder")


NAMED = [b"torch\nFloatStorage\n", b"builtins\neval\n"]
ARGUMENTS = st.sampled_from([b"", b"\0", b"\1", b"\2\0\0\0", b"\xff" * 4, b"\xff" * 8, *NAMED]) | st.binary(
    max_size=12
)
ANY_OPERATION = st.sampled_from([o.code.encode("latin-1") for o in pickletools.opcodes])
USUAL = st.sampled_from([*ATTACKS.values(), *map(plain, STATES.values()), b")", b"(", b"}", b"b", b"R"])
STEP = st.tuples(ANY_OPERATION, ARGUMENTS).map(b"".join) | ANY_OPERATION | USUAL
PROGRAMS = st.lists(STEP, max_size=30).map(b"".join)


def attempt(content):
    """Reads what may be anything."""
    before = standing()
    try:
        found = read_pickled(io.BytesIO(content))
    except InputError as error:
        lines = str(error).splitlines()
    else:
        lines = [""]
        assert all(type(key) is str and type(value) is np.ndarray for key, value in found.items())
    assert len(lines) == 1
    assert standing() == before


@settings(deadline=None, max_examples=150)
@given(PROGRAMS)
@example(b"\x80\x02ctorch\nBFloat16Storage\n" + plain(STATES["a dtype's state"]) + b"b")
def programs_are_inert(program):
    attempt(archive(program).getvalue())
    attempt(old(program).getvalue())
    attempt(archive(program + dictionary({"x": tensor()})).getvalue())
    attempt(archive(dictionary({"x": program + tensor()})).getvalue())


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 10**4), st.integers(0, 255)), max_size=4), st.booleans())
def damaged_files_are_inert(changes, is_pickle):
    whole = archive(dictionary({"x": tensor(), "y": tensor(offset=1, shape=(2,), stride=(2,))}, True))
    program = bytearray(zipfile.ZipFile(whole).read("archive/data.pkl")[2:-1])
    content = program if is_pickle else bytearray(whole.getvalue())
    for place, value in changes:
        content[place % len(content)] = value
    attempt(archive(bytes(content)).getvalue() if is_pickle else bytes(content))
    content = bytearray(old(bytes(program)).getvalue())
    for place, value in changes:
        content[place % len(content)] = value
    attempt(bytes(content))


def fuzz():
    """Runs in a process of its own, whose memory is limited."""
    import resource

    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ALLOWED_BYTES, used + ALLOWED_BYTES))
    programs_are_inert()
    damaged_files_are_inert()
    print("inert")


@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory as Linux does")
def test_whatever_is_read_is_inert(tmp_path):
    code = f"import sys; sys.path.insert(0, {sys.path[0]!r}); import test_pickles; test_pickles.fuzz()"
    code = code.replace(repr(sys.path[0]), repr(str(__import__("pathlib").Path(__file__).parent)))
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "inert\n", done.stderr[-2000:]
