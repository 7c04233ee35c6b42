"""``valtag audit …``: who did what with the data of persons, and whether that record is whole."""

from typing import Annotated

import typer

from valtag_assets.commands.options import Catalog, Data, Json, Purpose, Role, User, asking, whole_text
from valtag_assets.console.exits import Exit
from valtag_assets.console.opening import open_setting
from valtag_assets.console.screen import print_json, screen

audit_app = typer.Typer(help="The audit log 审计日志: who did what with the data of persons.")


@audit_app.callback(invoke_without_command=True)
def listed(
    context: typer.Context,
    actor: Annotated[str | None, typer.Option("--actor", help="Only what this user or key did.")] = None,
    action: Annotated[
        str | None, typer.Option("--action", help="Only this: select, export, serve, deliver, erase, …")
    ] = None,
    person: Annotated[
        str | None, typer.Option("--person", parser=whole_text, help="Only what concerned this person alone.")
    ] = None,
    refused: Annotated[bool, typer.Option("--refused", help="Only what was refused.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="At most so many, the newest.")] = 50,
    catalog: Catalog = None,
    role: Role = None,
    user: User = None,
    purpose: Purpose = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show what was recorded, oldest first."""
    from valtag_assets.console.auditing import Wanted, find_entries, print_entries

    if context.invoked_subcommand is not None:
        return
    setting = open_setting(catalog, data)
    found = find_entries(setting, Wanted(actor, action, person, refused, limit), asking(role, user, purpose))
    if as_json:
        print_json([entry.to_json() for entry in found])
    else:
        print_entries(screen(), setting, found)


@audit_app.command()
def verify(
    known: Annotated[
        str | None,
        typer.Option("--known", metavar="HASH", help="A hash that verifying told earlier: it must still be there."),
    ] = None,
    catalog: Catalog = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Look for every change, removal, insertion and exchange; exit code 2 when there is one."""
    from valtag_assets.console.auditing import print_verified, verified_json

    found = open_setting(catalog, data).audit.verify(known)
    if as_json:
        print_json(verified_json(found))
    else:
        print_verified(screen(), found)
    raise typer.Exit(Exit.DONE if found.sound else Exit.HELD)
