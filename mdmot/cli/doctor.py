"""`mdmot doctor`: versions, devices and caches of this machine."""

import click

from mdmot.cli.once import Command
from mdmot.cli.options import common, print_json
from mdmot.workflows.diagnosis import diagnosis


@click.command(cls=Command)
@common
def doctor(seed: int, as_json: bool) -> int:
    """Say what mdmot finds on this machine: versions, devices, precision, caches, extras.

    Something is compiled and computed, and the model that comes with mdmot is loaded. Exit status 1 if
    something is wrong.
    """
    found = diagnosis()
    status = 1 if found.problems else 0
    if as_json:
        print_json(found.to_json() | {"seed": seed})
        return status
    click.echo(", ".join(f"{name} {version}" for name, version in found.versions.items()))
    click.echo(found.system)
    for each in found.devices:
        memory = "" if each["memory"] is None else f", {each['memory'] / 2**30:.1f} GiB"
        click.echo(f"device: {each['kind']} ({each['platform']}{memory})")
    usual = (
        "JAX's default here" if found.is_x64_default else "commands ask for it, importing mdmot does not"
    )
    click.echo(f"double precision: {'there' if found.x64 else 'missing'}; {usual}")
    kept = "none are kept" if found.cache is None else f"{found.cache}, {found.cache_bytes / 2**20:.1f} MiB"
    click.echo(f"compiled programs: {kept}")
    extras = ", ".join(f"{name} {'there' if there else 'missing'}" for name, there in found.extras.items())
    click.echo(f"extras: {extras}")
    click.echo(f"a program is compiled and run, and a model loaded: {found.seconds:.1f} s")
    for problem in found.problems:
        click.echo(f"PROBLEM {problem}")
    click.echo("all is well" if not found.problems else "see the problems above")
    return status
