"""Every command and every route is in the list of doors: a new one has to say what leaves by it."""

from collections.abc import Iterator
from typing import Any

import typer

from valtag_assets.cli import app
from valtag_assets.console.door_list import COMMANDS, ROUTES
from valtag_assets.serving.routes import router
from valtag_assets.spec.access import DOORS


def commands(group: Any, name: str = "") -> Iterator[str]:
    """The names of all commands below, with those of their groups."""
    if not hasattr(group, "commands"):
        yield name
        return
    if group.invoke_without_command:
        yield name
    for own, command in group.commands.items():
        yield from commands(command, f"{name} {own}".strip())


def test_every_command_is_in_the_list_of_doors() -> None:
    known = {name.partition(" --")[0] for name in COMMANDS}
    assert set(commands(typer.main.get_command(app))) == known


def test_every_route_is_in_the_list_of_doors() -> None:
    routes = {f"{method} {route.path}" for route in router.routes for method in route.methods}  # type: ignore[attr-defined]
    assert routes == set(ROUTES)


def test_every_door_leads_somewhere() -> None:
    assert {way.door for way in (*COMMANDS.values(), *ROUTES.values())} == {*DOORS, None}
