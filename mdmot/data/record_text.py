"""The text of a file as people have it, compressed or not, and its lines, whatever ends them."""

import gzip
import re
import zlib
from collections.abc import Iterator

from mdmot.errors import InputError

GZIP = b"\x1f\x8b"
NO_TEXT = {
    b"PK\x03\x04": "a zip archive or a workbook",
    b"BZh": "compressed by bzip2",
    b"\xfd7zXZ\0": "compressed by xz",
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
    b"PAR1": "a Parquet file",
    b"%PDF": "a PDF",
}
"""What files are that begin so."""

UTF_16 = (b"\xff\xfe", b"\xfe\xff")
LINE_END = re.compile(r"\r\n|\n|\r")
"""Of Unix, Windows and the old Macintosh."""


def text_of(content: bytes, name: str) -> str:
    r"""The text that the bytes of a file are.

    Args:
      content: In UTF-8, with a mark of it or not, or such compressed by gzip.
      name: The file, for messages.

    Raises:
      InputError: If it is anything else, with the place that shows it.

    Example:
      >>> text_of(b"\xef\xbb\xbfAda\r\n", "names.txt")
      'Ada\r\n'
    """
    if content.startswith(GZIP):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{name}: the compressed file is damaged ({error}); copy it again") from None
    for sign, what in NO_TEXT.items():
        if content.startswith(sign):
            raise InputError(
                f"{name} is {what}, no text; unpack it, or export it as .jsonl, .csv or lines of text"
            )
    if content.startswith(UTF_16):
        raise InputError(f"{name} is UTF-16; save it as UTF-8, as `iconv -f utf-16 -t utf-8` does")
    if (place := content.find(b"\0")) >= 0:
        raise InputError(f"{name}, {_where(content, place)}: a zero, which no text has; save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # Without the mark at the beginning, which is of no line.
        where, wrong = _where(error.object, error.start), error.object[error.start]
        found = f"{where}: 0x{wrong:02x} is not UTF-8"
        raise InputError(f"{name}, {found}; save it as UTF-8, as `iconv -f latin1 -t utf-8` does") from None


def numbered_lines(text: str) -> Iterator[tuple[int, str]]:
    r"""Lines that are not empty, by their numbers.

    Args:
      text: Its lines end with a line feed, a carriage return, or both.

    Example:
      >>> list(numbered_lines("Ada\r\n\r\nEmmy\rSofia"))
      [(1, 'Ada'), (3, 'Emmy'), (4, 'Sofia')]
    """
    return ((number, line) for number, line in enumerate(LINE_END.split(text), start=1) if line)


def _where(content: bytes, place: int) -> str:
    """The line of a byte, and its number in the line."""
    # Of bytes that are no UTF-8 those below 128 are letters of ASCII all the same.
    *_, (number, begin) = enumerate(
        [0, *(end.end() for end in re.finditer(rb"\r\n|\n|\r", content[:place]))], start=1
    )
    return f"line {number}, byte {place - begin + 1}"
