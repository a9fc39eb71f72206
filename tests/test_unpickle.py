"""Pickles of tensors are read as data: whatever they say, nothing in the process changes."""

import collections
import contextlib
import io
import pickle
import resource
import zipfile

import hypothesis
import hypothesis.strategies as st
import jax.numpy as jnp
import numpy as np
import pytest

from mdmot.errors import InputError
from mdmot.models.pretrained import pickle_program, unpickle
from mdmot.models.pretrained.pickle_program import Call, Name, Reference, read_program
from mdmot.models.pretrained.unpickle import read_pickled

OPCODES = sorted(code.code.encode("latin-1") for code in pickle_program.pickletools.opcodes)


def global_of(module, name):
    return pickle.GLOBAL + f"{module}\n{name}\n".encode()


def pickled(value):
    """A value's pickle without its frame, to be put into another."""
    return pickle.dumps(value, 2)[2:-1]


def storage_of(key, size, kind="FloatStorage"):
    where = pickled("storage") + global_of("torch", kind) + pickled(key) + pickled("cpu")
    return pickle.MARK + where + pickled(size) + pickle.TUPLE + pickle.BINPERSID


def tensor_of(key, shape=(2,), size=2, stride=None, kind="FloatStorage"):
    """What torch.save writes for a contiguous tensor of `size` numbers."""
    stride = tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape))) if stride is None else stride
    hooks = global_of("collections", "OrderedDict") + pickle.EMPTY_TUPLE + pickle.REDUCE
    rest = b"".join(map(pickled, (0, shape, stride, False))) + hooks
    rebuild = global_of("torch._utils", "_rebuild_tensor_v2")
    return rebuild + pickle.MARK + storage_of(key, size, kind) + rest + pickle.TUPLE + pickle.REDUCE


def state_dict(items, before=b"", after=b""):
    """The pickle of an OrderedDict of items that are pickles, as `Module.state_dict` is saved."""
    empty = global_of("collections", "OrderedDict") + pickle.EMPTY_TUPLE + pickle.REDUCE
    inside = b"".join(pickled(name) + value for name, value in items.items())
    program = before + empty + pickle.MARK + inside + pickle.SETITEMS + after
    return pickle.PROTO + b"\x02" + program + pickle.STOP


def archive_of(program, storages=(("0", bytes(8)),), compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("archive/data.pkl", program)
        for key, content in storages:
            archive.writestr(f"archive/data/{key}", content)
    file.seek(0)
    return file


@contextlib.contextmanager
def memory_limit(more):
    """No more than `more` bytes beyond what the process has mapped now."""
    with open("/proc/self/statm") as status:
        mapped = int(status.read().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (mapped + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def live_things():
    """What the pickles of these tests try to change."""
    functions = (unpickle.read_pickled, pickle_program.read_program, unpickle._Archive.numbers)
    return (
        [(np.dtype(dtype).itemsize, str(np.dtype(dtype))) for dtype in (jnp.bfloat16, np.float32)],
        [(function.__defaults__, dict(function.__dict__), function.__code__) for function in functions],
        sorted(vars(collections.OrderedDict)),
        dict(unpickle.STORAGES),
    )


@pytest.fixture(autouse=True)
def _nothing_changes():
    before = live_things()
    yield
    assert live_things() == before


def refused(file):
    with pytest.raises(InputError) as caught:
        read_pickled(file)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 400
    return str(caught.value)


def test_state_dicts_are_read():
    """With attributes as PyTorch writes them, a parameter, a scalar, a shared and a transposed storage."""
    numbers = np.arange(6, dtype=np.float32)
    parameter = global_of("torch._utils", "_rebuild_parameter") + pickle.MARK + tensor_of("0", (6,), 6)
    parameter += pickled(True) + pickled({}) + pickle.TUPLE + pickle.REDUCE
    items = {
        "whole": tensor_of("0", (2, 3), 6),
        "turned": tensor_of("0", (3, 2), 6, (1, 3)),
        "parameter": parameter,
        "half": tensor_of("1", (), 1, kind="BFloat16Storage"),
    }
    attributes = pickled({"_metadata": {"": {"version": 1}}}) + pickle.BUILD
    half = np.asarray([1.5], jnp.bfloat16)
    file = archive_of(
        state_dict(items, after=attributes), [("0", numbers.tobytes()), ("1", half.tobytes())]
    )
    found = read_pickled(file)
    assert list(found) == list(items)
    np.testing.assert_array_equal(found["whole"], numbers.reshape(2, 3))
    np.testing.assert_array_equal(found["turned"], numbers.reshape(2, 3).T)
    np.testing.assert_array_equal(found["parameter"], numbers)
    assert (found["half"].shape, found["half"].dtype, float(found["half"])) == ((), jnp.bfloat16, 1.5)
    found["whole"][0, 0] = 9
    assert found["parameter"][0] == 0


@pytest.mark.parametrize("protocol", range(2, 6))
def test_plain_values_are_what_pickle_makes_of_them(protocol):
    value = {"a": [1, -5, 2**40, 300, 70_000, 1.5, None, True, False], "b": ((), (1,), (1, 2), (1, 2, 3))}
    value |= {"long": "x" * 300, "again": value["a"], "many": (1, 2, 3, 4)}
    assert read_program(pickle.dumps(value, protocol)) == value


def test_names_stay_names():
    assert read_program(pickle.dumps(print, 2)) == Name("__builtin__", "print")
    assert type(read_program(storage_of("0", 2) + pickle.STOP)) is Reference
    call = global_of("os", "mkdir") + pickled(("x",)) + pickle.REDUCE
    assert read_program(call + pickle.STOP) == Call(Name("os", "mkdir"), ("x",))


ITEMS = (3, "<", None, None, None, 4096, 1, 0)


@pytest.mark.parametrize(
    "target",
    [
        global_of("torch", "BFloat16Storage"),
        global_of("torch._utils", "_rebuild_tensor_v2"),
        global_of("collections", "OrderedDict"),
        storage_of("0", 2),
        tensor_of("0"),
    ],
    ids=["type", "function", "class", "storage", "tensor"],
)
@pytest.mark.parametrize("state", [ITEMS, {"__defaults__": (1,)}, (None, {"evil": 1})])
def test_nothing_is_given_a_state(target, state):
    """The state of a dtype was set by BUILD, and bfloat16 then had items of 4,096 bytes."""
    before = target + pickled(state) + pickle.BUILD + pickle.POP
    assert "where a dict must be" in refused(archive_of(state_dict({"x": tensor_of("0")}, before)))


def test_a_dictionary_keeps_none_of_its_attributes():
    attributes = pickled({"items": 5, "__class__": 1, "keys": None}) + pickle.BUILD
    file = archive_of(state_dict({"x": tensor_of("0")}, after=attributes))
    assert read_pickled(file)["x"].tolist() == [0, 0]


def test_sizes_are_compared_before_anything_is_read():
    program = state_dict({"x": tensor_of("0", (2, 2), 4)})
    vast = io.BytesIO()
    with zipfile.ZipFile(vast, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", program, zipfile.ZIP_STORED)
        with archive.open("archive/data/0", "w") as storage:
            for _ in range(300):
                storage.write(bytes(2**20))
    vast.seek(0)
    with memory_limit(2**27):
        assert "compressed" in refused(vast)
        stored = archive_of(program, [("0", bytes(2**24))])
        assert "16,777,216 bytes instead of 16" in refused(stored)
        assert "missing" in refused(archive_of(program, [("1", bytes(16))]))
        claimed = state_dict({"x": tensor_of("0", (2**40,), 2**40)})
        assert "8 times its size" in refused(archive_of(claimed))
        claimed = state_dict({"x": tensor_of("0", (2,), 2**40)})
        assert "8 bytes instead of 4,398,046,511,104" in refused(archive_of(claimed))


def test_tensors_that_share_a_storage_do_not_outgrow_the_file():
    content = bytes(2**20)
    program = state_dict({str(i): tensor_of("0", (2**18,), 2**18) for i in range(2000)})
    with memory_limit(2**28):
        assert "8 times its size" in refused(archive_of(program, [("0", content)]))


def test_nested_values_are_neither_hashed_nor_shown():
    """Thirty-two doublings of a tuple: its hash or its text would take minutes, or all memory."""
    nested = pickle.EMPTY_TUPLE + pickle.BINPUT + b"\x00"
    for _ in range(32):
        nested += pickle.BINGET + b"\x00" + pickle.TUPLE2 + pickle.BINPUT + b"\x00"
    as_key = pickle.EMPTY_DICT + nested + pickle.NONE + pickle.SETITEM + pickle.STOP
    assert "key that is a tuple" in refused(archive_of(as_key))
    as_value = state_dict({"x": nested})
    assert "no dictionary of tensors" in refused(archive_of(as_value))
    as_size = state_dict({"x": tensor_of("0").replace(pickled((2,)), nested, 1)})
    assert "has no shape" in refused(archive_of(as_size))


def test_what_a_pickle_names_cannot_write_on_the_terminal():
    call = global_of("os\x1b[2J", "x" * 10_000) + pickled(()) + pickle.REDUCE
    said = refused(archive_of(state_dict({"x": call})))
    assert "\x1b" not in said
    assert "was not run" in said


VALID = state_dict(
    {"a": tensor_of("0"), "b": tensor_of("0", (2, 1))}, after=pickled({"c": 1}) + pickle.BUILD
)


@st.composite
def programs(draw):
    """Pickles near a valid one, and instructions at random with arguments at random."""
    if draw(st.booleans()):
        program = bytearray(VALID)
        for _ in range(draw(st.integers(1, 6))):
            place = draw(st.integers(0, len(program) - 1))
            end = place + draw(st.integers(0, 8))
            program[place:end] = draw(st.sampled_from(OPCODES)) + draw(st.binary(max_size=6))
        return bytes(program)
    piece = st.one_of(
        st.tuples(st.sampled_from(OPCODES), st.binary(max_size=9)).map(b"".join),
        st.sampled_from([tensor_of("0"), storage_of("0", 2), global_of("os", "abort"), pickled((1, 2))]),
    )
    return b"".join(draw(st.lists(piece, max_size=30))) + pickle.STOP


@hypothesis.settings(max_examples=400, deadline=None, derandomize=True)
@hypothesis.given(programs())
def test_any_program_is_read_or_refused(program):
    before = live_things()
    found, said = {}, ""
    with memory_limit(2**27):
        try:
            found = read_pickled(archive_of(program))
        except InputError as error:
            said = str(error)
    assert bool(said) <= (len(said.splitlines()) == 1)
    assert all(type(tensor) is np.ndarray for tensor in found.values())
    assert live_things() == before
