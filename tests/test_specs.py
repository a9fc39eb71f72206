"""Things by name: what a text may say, and what is said of one that is wrong."""

import pytest

from mdmot.errors import InputError
from mdmot.specs import Kind, Option, options_of, read_spec, spelled


def box(width: int = 2, weight: float = 1.0, colour: str = "red", lid: int | None = None) -> tuple:
    if weight > 8:
        raise InputError("too heavy; pass less")
    return width, weight, colour, lid


KINDS = {
    "box": Kind(
        "a box",
        options_of(
            box, width=("across", 1, 9), weight=("in kilos", 0, 10), colour="of it", lid=("height", 3, 5)
        ),
        box,
    )
}


def test_options_come_from_the_function():
    assert KINDS["box"].options["weight"] == Option(1.0, "in kilos", 0, 10)
    assert [option.default for option in KINDS["box"].options.values()] == [2, 1.0, "red", None]


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("box", (2, 1.0, "red", None)),
        ("box:width=3", (3, 1.0, "red", None)),
        ("box: weight = .5 ,lid=4", (2, 0.5, "red", 4)),
        ("box:weight=2,colour=a=b", (2, 2.0, "a=b", None)),
    ],
)
def test_texts_that_name_something(text, made):
    found = read_spec(text, KINDS, "thing")
    assert found == made
    assert [type(value) for value in found] == [type(value) for value in made]
    again = spelled("box", **dict(zip(KINDS["box"].options, found, strict=True)))
    assert read_spec(again, KINDS, "thing") == made


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bag", "thing 'bag' is not known; use one of box"),
        ("box:", "box:: box has no option ''; it has width, weight, colour, lid"),
        ("box:width=1,width=2", "box:width=1,width=2: width is given twice; give it once"),
        (
            "box:widht=1",
            "box:widht=1: box has no option 'widht' (did you mean width?); it has width, weight, colour, "
            "lid",
        ),
        (
            "box:width=2.5",
            "box:width=2.5: width is '2.5'; expected a whole number from 1 to 9, as in width=2",
        ),
        (
            "box:width=10",
            "box:width=10: width is '10'; expected a whole number from 1 to 9, as in width=2",
        ),
        (
            "box:weight=nan",
            "box:weight=nan: weight is 'nan'; expected a number from 0 to 10, as in weight=1.0",
        ),
        ("box:lid", "box:lid: lid is ''; expected a whole number from 3 to 5, as in lid=3"),
        ("box:weight=9", "box:weight=9: too heavy; pass less"),
    ],
)
def test_texts_that_name_nothing_say_what_would(text, message):
    with pytest.raises(InputError) as error:
        read_spec(text, KINDS, "thing")
    assert str(error.value) == message
