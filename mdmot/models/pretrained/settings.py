"""The settings of a Hugging Face config.json, read strictly."""

import json
import math
import pathlib
from typing import Any

from mdmot.arguments import is_whole
from mdmot.errors import InputError, shown

CONFIG_FILE = "config.json"
REQUIRED: Any = object()


class Settings:
    """Settings of a network, whose problems are gathered and reported together.

    Attributes:
      path: The file.
      values: Its content.
      problems: What was found wrong so far.
    """

    def __init__(self, path: pathlib.Path, values: dict[str, Any]):
        self.path = path
        self.values = values
        self.problems: list[str] = []

    def whole(self, name: str, default: Any = REQUIRED, least: int = 1) -> Any:
        """A whole number of at least `least`; null stands for the default."""
        value = self._value(name, default, least)
        if value is default:
            return default
        if not is_whole(value, least):
            return self._refuse(name, f"expected a whole number of at least {least}", least)
        return value

    def positive(self, name: str, default: Any = REQUIRED) -> float:
        """A finite number above 0."""
        value = self._value(name, default)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 < value < math.inf:
            return self._refuse(name, "expected a number above 0", 1.0)
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        """True or false; null stands for the default."""
        value = self._value(name, default)
        return value if isinstance(value, bool) else self._refuse(name, "expected true or false", default)

    def only(self, name: str, *allowed: Any, default: Any = None) -> None:
        """Refuses a setting that mdmot's network does not have.

        Args:
          name: The setting.
          *allowed: The values that it does have.
          default: What the setting is where the file does not say.
        """
        value = self.values.get(name, default)
        if not any(value == known and type(value) is type(known) for known in allowed):
            expected = " or ".join(dict.fromkeys(shown(known) for known in allowed))
            said = "" if name in self.values else " (the default)"
            self.problems.append(f"{name} = {shown(value)}{said}: mdmot's network has only {expected}")

    def refuse_unless(self, condition: bool, problem: str) -> None:
        """Notes a problem that is no single setting's."""
        if not condition:
            self.problems.append(problem)

    def finish(self) -> None:
        """Raises InputError with all problems, if there are any."""
        if self.problems:
            raise InputError(f"{self.path}: {'; '.join(self.problems)}; mdmot cannot run this network")

    def _value(self, name: str, default: Any, placeholder: int = 1) -> Any:
        value = self.values.get(name)
        if value is None:
            if default is REQUIRED:
                self.problems.append(f"{name} is missing")
                return placeholder
            return default
        return value

    def _refuse(self, name: str, expected: str, placeholder: Any) -> Any:
        self.problems.append(f"{name} = {shown(self.values.get(name))}: {expected}")
        return placeholder


def read_settings(folder: pathlib.Path) -> Settings:
    """The settings of a folder.

    Raises:
      InputError: If there is no such file or it is no JSON object.
    """
    path = folder / CONFIG_FILE
    values = read_json(path, "pass the folder of a Hugging Face model")
    return Settings(path, values)


def read_json(path: pathlib.Path, advice: str) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
      InputError: If there is none.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {advice}") from None
    except (ValueError, RecursionError):
        raise InputError(f"{path}: is not JSON; copy the file again") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: is not a JSON object; copy the file again")
    return values


def read_text(path: pathlib.Path) -> str:
    """The text in a file, without the mark of its byte order.

    Raises:
      InputError: If there is none in UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError):
        raise InputError(f"{path}: is no text in UTF-8; copy the file again") from None
