"""What a pickle of tensors says, read as data: nothing that it names is looked up, called or changed."""

import pickletools
from collections.abc import Callable
from typing import Any, NamedTuple

from mdmot.errors import InputError


class Name(NamedTuple):
    """A function or a class that a pickle names: its two strings, and never the thing."""

    module: str
    name: str


class Call(NamedTuple):
    """What a pickle wants to be the result of a call."""

    function: Name
    arguments: tuple[Any, ...]


class Reference(NamedTuple):
    """What a pickle leaves to its reader: a persistent id, such as a storage beside it."""

    key: Any


ORDERED_DICT = Name("collections", "OrderedDict")

MOST_SHOWN = 80

_MARK = object()
_NUMBERS = ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT")
_STRINGS = ("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8")
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "MARK": lambda: _MARK,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def read_program(program: bytes) -> Any:
    """The value that a pickle describes, of numbers, strings, tuples, lists, dictionaries and names.

    `pickle.Unpickler` looks names up, and whatever then stands on its stack can be called or given
    attributes by the pickle. This interpreter knows the instructions that a dictionary of tensors is
    written with and puts inert values on its stack. A dictionary's attributes, which PyTorch writes beside
    a state_dict, are dropped.

    Args:
      program: The pickle, of any protocol.

    Returns:
      The value; a `Call` or a `Reference` where the pickle would call something or refer outside itself.
      An `OrderedDict` is a dictionary.

    Raises:
      InputError: If the pickle has another instruction, or one where it makes no sense.

    Example:
      >>> import pickle
      >>> read_program(pickle.dumps({"a": (1, [2.5, None])}))
      {'a': (1, [2.5, None])}
      >>> read_program(pickle.dumps(print))
      Name(module='builtins', name='print')
    """
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(program):
            if opcode.name == "STOP":
                return machine.only_value()
            machine.run(opcode.name, argument)
    except InputError:
        raise
    except (IndexError, KeyError, ValueError) as error:
        # Of the instructions' own reading, an empty stack, an empty place of the memo.
        raise InputError(f"the pickle is damaged ({error})") from None
    raise InputError("the pickle ends before its end")


def shown(text: str) -> str:
    """A pickle's text as a message may show it: short, and without what moves a terminal's cursor."""
    escaped = text.encode("unicode_escape").decode()
    return escaped if len(escaped) <= MOST_SHOWN else f"{escaped[:MOST_SHOWN]}..."


class _Machine:
    """The stack and the memo of a pickle."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def only_value(self) -> Any:
        if len(self.stack) != 1 or self.stack[0] is _MARK:
            raise InputError("the pickle ends with more than one value, or none")
        return self.stack[0]

    def run(self, name: str, argument: Any) -> None:
        """Executes one instruction."""
        if name in ("PROTO", "FRAME"):
            return
        if name in _NUMBERS or name in _STRINGS:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in _TUPLES:
            self.stack.append(tuple(reversed([self.pop() for _ in range(_TUPLES[name])])))
        elif name == "TUPLE":
            self.stack.append(tuple(self.pop_to_mark()))
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.top()
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.top()
        elif name in ("BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        elif name in ("APPEND", "APPENDS"):
            values = [self.pop()] if name == "APPEND" else self.pop_to_mark()
            self.top(list).extend(values)
        elif name in ("SETITEM", "SETITEMS"):
            values = [self.pop(), self.pop()][::-1] if name == "SETITEM" else self.pop_to_mark()
            self.set_items(values)
        else:
            self.run_named(name, argument)

    def run_named(self, name: str, argument: Any) -> None:
        """The instructions that name something outside the pickle."""
        if name == "GLOBAL":
            module, _, attribute = argument.partition(" ")
            self.stack.append(Name(module, attribute))
        elif name == "STACK_GLOBAL":
            attribute, module = self.pop(str), self.pop(str)
            self.stack.append(Name(module, attribute))
        elif name == "BINPERSID":
            self.stack.append(Reference(self.pop()))
        elif name == "REDUCE":
            arguments, function = self.pop(tuple), self.pop(Name)
            is_dictionary = function == ORDERED_DICT and not arguments
            self.stack.append({} if is_dictionary else Call(function, arguments))
        elif name == "BUILD":
            self.pop(dict)
            self.top(dict)
        else:
            raise InputError(f"the pickle has the instruction {name}, which no dictionary of tensors needs")

    def top(self, kind: type = object) -> Any:
        value = self.stack[-1]
        if value is _MARK or (type(value) is not kind and kind is not object):
            raise InputError(f"the pickle has a {_kind(value)} where a {_kind_name(kind)} must be")
        return value

    def pop(self, kind: type = object) -> Any:
        self.top(kind)
        return self.stack.pop()

    def pop_to_mark(self) -> list[Any]:
        values = []
        while self.stack[-1] is not _MARK:
            values.append(self.stack.pop())
        self.stack.pop()
        return values[::-1]

    def set_items(self, values: list[Any]) -> None:
        target = self.top(dict)
        if len(values) % 2:
            raise InputError("the pickle gives a dictionary a key without a value")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if type(key) not in (str, int):
                # Also: a tuple of tuples may take forever to hash.
                raise InputError(f"the pickle gives a dictionary a key that is a {_kind(key)}, no name")
            target[key] = value


def _kind(value: Any) -> str:
    return "mark" if value is _MARK else _kind_name(type(value))


def _kind_name(kind: type) -> str:
    return {object: "value", Name: "function or class"}.get(kind, kind.__name__)
