"""``valtag broken``: the rows that broke a table's checks."""

from dataclasses import asdict
from typing import Annotated

import typer

from valtag_assets.commands.options import AsOf, Catalog, Data, Json, Purpose, Role, User, asking
from valtag_assets.console.opening import open_setting
from valtag_assets.console.screen import print_json, screen


def broken(
    table: Annotated[str, typer.Argument(help="clean/orders, tags/transaction, …")],
    catalog: Catalog = None,
    as_of: AsOf = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many rows of each check.")] = 5,
    role: Role = None,
    user: User = None,
    purpose: Purpose = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show rows that broke the checks of a table, with the values a role may see; logs and pages have none."""
    from valtag_assets.console.broken import find_broken, print_broken

    found = find_broken(open_setting(catalog, data), table, as_of, limit, asking(role, user, purpose))
    if as_json:
        print_json([asdict(item) for item in found])
    else:
        print_broken(screen(), table, found)
