"""Text for human eyes: what a terminal would obey is escaped."""

from mdmot.readable import one_line, printable


def test_codes_that_a_terminal_would_obey_are_escaped():
    assert printable("a\x1b[2J\r\n\tb") == "a\\x1b[2J\\r\n\tb"
    assert one_line("a\x1b[2J\n\tb") == "a\\x1b[2J\\n\\tb"
