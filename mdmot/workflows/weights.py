"""The number type of the weights that a piece of work loads."""

import contextlib
import contextvars
from collections.abc import Iterator

from mdmot.errors import InputError
from mdmot.workflows.training_settings import Dtype

_DTYPE: contextvars.ContextVar[Dtype | None] = contextvars.ContextVar("dtype", default=None)


@contextlib.contextmanager
def weights_in(dtype: Dtype) -> Iterator[None]:
    """Makes `mdmot.load`, and all that loads by it, load networks in a type, which they compute in too.

    Args:
      dtype: The type; half of the memory is needed in bfloat16.

    Example:
      >>> from mdmot.workflows import load
      >>> with weights_in("bfloat16"):
      ...     load().model.params["head"]["kernel"].dtype
      dtype(bfloat16)
    """
    token = _DTYPE.set(dtype)
    try:
        yield
    finally:
        _DTYPE.reset(token)


def asked_dtype() -> Dtype | None:
    """The type that `weights_in` asks for; None if nothing does."""
    return _DTYPE.get()


def refuse_dtype(dtype: Dtype | None, what: str) -> None:
    """Raises InputError if a type is asked for where no weights are loaded.

    Args:
      dtype: The type; None if none is asked for.
      what: What is used in the place of a network.
    """
    if dtype is not None:
        raise InputError(f"dtype {dtype} is of the weights of a network, and {what} has none; leave it out")
