"""``valtag erase``: persons taken out of everything, for good."""

from pathlib import Path
from typing import Annotated

import typer

from valtag_assets.commands.options import Catalog, Data, Json, Purpose, Role, User, asking, whole_text
from valtag_assets.console.exits import Exit
from valtag_assets.console.opening import open_setting
from valtag_assets.console.screen import print_json, screen


def erase(
    persons: Annotated[
        list[str] | None,
        typer.Argument(parser=whole_text, metavar="PERSON…", help="Ids, or personal values as phone numbers."),
    ] = None,
    listed: Annotated[Path | None, typer.Option("--list", help="A file of more, one a line.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; for the certificate.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an erasure that was cut off or not finished.")
    ] = False,
    role: Role = None,
    user: User = None,
    purpose: Purpose = None,
    catalog: Catalog = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Erase persons from every table, file, list and destination, prove it, and never take them in again."""
    from valtag_assets.console import erasing

    setting, by = open_setting(catalog, data), asking(role, user, purpose)
    if resume:
        order = erasing.open_order(setting, by)
    else:
        order = erasing.find_order(setting, persons or [], listed, by, reason)
        erasing.print_order(screen(errors=True), order)
        if not yes:
            typer.confirm("This can't be undone. Erase?", abort=True, err=True)
    done, certificate = erasing.run_order(setting, order)
    if as_json:
        file = None if certificate is None else str(certificate)
        print_json({"complete": done.complete, "certificate": file, **erasing.order_json(order)})
    else:
        erasing.print_erased(screen(), done, certificate)
    raise typer.Exit(Exit.DONE if done.complete else Exit.HELD)
