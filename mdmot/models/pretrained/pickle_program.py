"""The program in a pickle of tensors, interpreted on values that stand for themselves and nothing else."""

import io
import pickletools
from typing import Any, NamedTuple

from mdmot.errors import InputError

STORAGES = {
    "torch DoubleStorage": "float64",
    "torch FloatStorage": "float32",
    "torch HalfStorage": "float16",
    "torch BFloat16Storage": "bfloat16",
    "torch LongStorage": "int64",
    "torch IntStorage": "int32",
    "torch ShortStorage": "int16",
    "torch CharStorage": "int8",
    "torch ByteStorage": "uint8",
    "torch BoolStorage": "bool",
}
DICTIONARY, TENSOR = "collections OrderedDict", "torch._utils _rebuild_tensor_v2"
PARAMETER = "torch._utils _rebuild_parameter"
NAMES = {*STORAGES, DICTIONARY, TENSOR, PARAMETER}
MOST_DIMENSIONS, MOST_BITS = 32, 63
MOST_BYTES = 2**23
"""Of a program, of which a tensor takes some two hundred; a byte may make a list of sixty-four."""


class Storage(NamedTuple):
    """Numbers in a part of the file: their type, the part's name and how many there are."""

    dtype: str
    key: str
    size: int


class Tensor(NamedTuple):
    """A part of a storage, all in numbers: where it begins, its shape and its steps."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class _Name(NamedTuple):
    """What a name in the pickle stands for: the name."""

    text: str


class _Mark:
    """Where the arguments of an operation begin on the stack."""


_MARK = _Mark()


def interpret(program: bytes | io.BytesIO) -> Any:
    """What a pickle makes, of texts, numbers, tuples, lists, dictionaries and tensors alone.

    Nothing is looked up, called or changed: a name is a text, a call is one of three that are known, and
    the state that a dictionary is given is dropped. The work and the memory are proportional to the
    program's length.

    Args:
      program: The pickle, of protocol 2 or later; of a stream, which is left behind the pickle's end, what
        comes next in it.

    Returns:
      The value; a tensor is a `Tensor`.

    Raises:
      InputError: If an operation or a name is not one that the state_dict of a model needs.
      Exception: Of any class, if the program is damaged.
    """
    if isinstance(program, bytes) and len(program) > MOST_BYTES:
        raise InputError(f"the pickle has {len(program)} bytes, more than {MOST_BYTES}; it was not run")
    machine = _Machine()
    for operation, argument, _ in pickletools.genops(program):
        name = operation.name
        if name == "STOP":
            break
        if name in _PUSHED:
            machine.push(argument)
        elif name in _STEPS:
            _STEPS[name](machine, argument)
        else:
            raise InputError(f"the pickle has the operation {name}, which no tensor needs; it was not run")
    (value,) = machine.stack
    return value


_PUSHED = {"BINUNICODE", "SHORT_BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"}


class _Machine:
    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def push(self, value: Any) -> None:
        if type(value) is int and value.bit_length() > MOST_BITS:
            raise ValueError("a number is beyond 64 bits")
        self.stack.append(value)

    def pop(self) -> Any:
        value = self.stack.pop()
        if type(value) is _Mark:
            raise ValueError("an argument is missing")
        return value

    def pop_to_mark(self) -> list[Any]:
        values = []
        while type(value := self.stack.pop()) is not _Mark:
            values.append(value)
        return values[::-1]

    def tuple_of(self, count: int) -> None:
        self.push(tuple([self.pop() for _ in range(count)][::-1]))

    def put(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    def top(self, kind: type) -> Any:
        value = self.stack[-1]
        if type(value) is not kind:
            raise ValueError(f"there is no {kind.__name__} to put things into")
        return value

    def append(self, values: list[Any]) -> None:
        self.top(list).extend(values)

    def set_items(self, values: list[Any]) -> None:
        found = self.top(dict)
        for key, value in zip(values[::2], values[1::2], strict=True):
            # A text has a hash that costs its length and calls nothing.
            if type(key) is not str:
                raise ValueError("a dictionary has a key that is no text")
            found[key] = value

    def name(self, text: str) -> None:
        if text not in NAMES:
            shown = text.replace(" ", ".", 1).encode("unicode_escape").decode()[:100]
            raise InputError(f"the pickle names {shown}, which is no tensor; it was not run")
        self.push(_Name(text))

    def joined_name(self) -> None:
        name, module = self.pop(), self.pop()
        if type(name) is not str or type(module) is not str:
            raise ValueError("a name is no text")
        self.name(f"{module} {name}")

    def storage(self) -> None:
        kind, name, key, _, size, *part = _tuple(self.pop())
        # The old format has a sixth entry: what the storage is a part of, which is nothing since long.
        if part not in ([], [None]):
            raise ValueError("a storage is a part of another")
        if type(kind) is not str or kind != "storage" or type(name) is not _Name:
            raise ValueError("there is something else than the storage of a tensor")
        if type(key) is not str or not _is_whole(size):
            raise ValueError("a storage has no name or size")
        self.push(Storage(STORAGES[name.text], key, size))

    def call(self) -> None:
        arguments, function = _tuple(self.pop()), self.pop()
        if type(function) is not _Name or function.text in STORAGES:
            raise ValueError("something is called that is no function")
        if function.text == DICTIONARY:
            () = arguments
            self.push({})
        elif function.text == TENSOR:
            self.push(_tensor(*arguments[:4]))
        elif type(arguments[0]) is Tensor:
            self.push(arguments[0])
        else:
            raise ValueError("a parameter is no tensor")

    def drop_state(self) -> None:
        # PyTorch gives the dictionary of a model an attribute with the versions of its modules.
        self.pop()
        self.top(dict)


_STEPS: dict[str, Any] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "MARK": lambda machine, _: machine.push(_MARK),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_to_mark())),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "APPEND": lambda machine, _: machine.append([machine.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.pop_to_mark()),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "SETITEM": lambda machine, _: machine.set_items([machine.pop(), machine.pop()][::-1]),
    "SETITEMS": lambda machine, _: machine.set_items(machine.pop_to_mark()),
    "BINPUT": lambda machine, place: machine.put(place),
    "LONG_BINPUT": lambda machine, place: machine.put(place),
    "MEMOIZE": lambda machine, _: machine.put(len(machine.memo)),
    "BINGET": lambda machine, place: machine.push(machine.memo[place]),
    "LONG_BINGET": lambda machine, place: machine.push(machine.memo[place]),
    "GLOBAL": lambda machine, text: machine.name(text),
    "STACK_GLOBAL": lambda machine, _: machine.joined_name(),
    "BINPERSID": lambda machine, _: machine.storage(),
    "REDUCE": lambda machine, _: machine.call(),
    "BUILD": lambda machine, _: machine.drop_state(),
}


def _tensor(storage: Any, offset: Any, shape: Any, stride: Any) -> Tensor:
    if type(storage) is not Storage or not _is_whole(offset):
        raise ValueError("a tensor has no storage")
    shape, stride = _tuple(shape), _tuple(stride)
    if len(shape) != len(stride) or len(shape) > MOST_DIMENSIONS or not all(map(_is_whole, shape + stride)):
        raise InputError(f"a tensor of {len(shape)} dimensions reaches beyond its storage")
    entries, last = 1, offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
    for n in shape:
        entries *= n
    if entries > storage.size or (entries and last >= storage.size):
        raise InputError(f"a tensor of shape {list(shape)} reaches beyond its storage")
    return Tensor(storage, offset, shape, stride)


def _tuple(value: Any) -> tuple[Any, ...]:
    if type(value) is not tuple:
        raise ValueError("the arguments of an operation are no tuple")
    return value


def _is_whole(value: Any) -> bool:
    return type(value) is int and value >= 0
