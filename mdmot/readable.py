"""Text for human eyes, without codes that a terminal would obey."""


def printable(text: str) -> str:
    r"""The text with line feeds and tabs, and everything else that is not to be seen escaped.

    A model may produce any character, an escape that clears the screen or one that reverses the
    direction of writing as well as a letter.

    Example:
      >>> printable("a\x1b[2J\n\u202eb")
      'a\\x1b[2J\n\\u202eb'
    """
    return "".join(
        sign if sign.isprintable() or sign in "\n\t" else sign.encode("unicode_escape").decode()
        for sign in text
    )


def so_many(number: int, noun: str) -> str:
    """A number of things; the noun is that of one, and takes an s.

    Example:
      >>> so_many(1, "document"), so_many(1200, "document")
      ('1 document', '1,200 documents')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def one_line(text: str) -> str:
    """The text as `printable` has it, with line feeds and tabs escaped too."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")
