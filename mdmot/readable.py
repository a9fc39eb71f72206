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


def one_line(text: str) -> str:
    """The text as `printable` has it, with line feeds and tabs escaped too."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")
