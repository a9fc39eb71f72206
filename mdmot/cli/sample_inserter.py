"""`mdmot sample` from a model that inserts: rows whose length is not known."""

import pathlib
from collections.abc import Sequence
from typing import Any

import click

from mdmot.cli.asking import assert_one_beginning, template_named
from mdmot.cli.knobs import Values
from mdmot.cli.options import print_json
from mdmot.cli.outputs import say
from mdmot.cli.progress import progress_shown
from mdmot.cli.unread import refuse_unread
from mdmot.workflows.inserter_evaluation import INSERTION_SCHEDULE, UNMASKING_SCHEDULE
from mdmot.workflows.naming import load
from mdmot.workflows.precision import computing_in

CHOICE = {"temperature": 1.0, "top_k": None, "top_p": None, "forbid": ()}
"""The options that say how the tokens of masks are chosen, and what they are unless they are given."""

INSERTION_ONLY = frozenset({"insertion_schedule"})
"""The parameters that mean something for models that insert alone."""

READ = CHOICE.keys() | {
    *("prompt", "template", "mask_symbol", "gap_symbol", "num", "length", "watch"),
    *("steps", "schedule_text", "insertion_schedule"),
}


def sampled_inserter(context: click.Context, model: pathlib.Path) -> int:
    """Prints rows that have grown.

    Args:
      context: Of the command.
      model: The folder.

    Returns:
      The exit status: 1 if samples are left out that wanted more room than there is.

    Raises:
      InputError: If an option is given that means nothing here, or a row is none of the model's.
    """
    refuse_unread(context, READ, "a model that inserts")
    given: dict[str, Any] = context.params
    sign, gap_sign, seed = given["mask_symbol"], given["gap_symbol"], given["seed"]
    text = given["template"]
    template = None if text is None else template_named(text, sign, gap_sign)
    assert_one_beginning(given["prompt"], template, (), None)
    from mdmot.cli.watch import film
    from mdmot.models import NamedInserter, as_kind
    from mdmot.readable import printable
    from mdmot.workflows.gaps import gapped_rows
    from mdmot.workflows.inserting import inserted_samples, steps_of, without_room
    from mdmot.workflows.prompts import forbidden

    with computing_in("float32"):
        named = as_kind(load(model), NamedInserter, "this takes models that insert")
        decode = named.vocabulary.decode
        room = named.length if given["length"] is None else given["length"]
        starts = gapped_rows(named, given["prompt"], template, room, sign, gap_sign)
        insertion = given["insertion_schedule"] or INSERTION_SCHEDULE
        unmasking = given["schedule_text"] or UNMASKING_SCHEDULE
        grid = steps_of(given["steps"], room, insertion, unmasking)
        knobs = {name: usual if given[name] is None else given[name] for name, usual in CHOICE.items()}
        knobs["forbid"] = forbidden(named.vocabulary, given["forbid"]) if given["forbid"] else ()

        def filmed(numbers: Sequence[int], points: Sequence[Sequence[Sequence[int]]]) -> None:
            film([[decode(row, sign) for row in point] for point in points], numbers, sign)

        with progress_shown() as show:
            found = inserted_samples(
                seed,
                named,
                grid,
                [start for start in starts for _ in range(given["num"])],
                choice=Values(knobs, None).choice,
                show=None if given["watch"] else show,
                film=filmed if given["watch"] else None,
            )
    lost = without_room(found, room, named.length)
    if lost is not None:
        say(f"sample: {lost}")
    texts = [None if one.tokens is None else decode(one.tokens, sign) for one in found]
    if given["as_json"]:
        print_json(
            {
                "samples": [
                    {"text": text, **one._asdict()} for text, one in zip(texts, found, strict=True)
                ],
                "process": named.process,
                "steps": len(grid.insert),
                "insertion_schedule": insertion,
                "schedule": unmasking,
                "length": room,
                "seed": seed,
            }
        )
    elif whole := [printable(text) for text in texts if text is not None]:
        click.echo(("\n---\n" if any("\n" in text for text in whole) else "\n").join(whole))
    return 0 if lost is None else 1
