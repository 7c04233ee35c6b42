"""``valtag report``: one HTML file about what is published."""

from pathlib import Path
from typing import Annotated

import typer

from valtag_assets.commands.options import AsOf, Catalog, Data, Purpose, Role, User, asking
from valtag_assets.console.opening import open_setting
from valtag_assets.console.screen import screen


def report(
    catalog: Catalog = None,
    as_of: AsOf = None,
    into: Annotated[
        Path | None, typer.Option("--into", help="A folder, or a file that ends with .html (default: data/reports).")
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    role: Role = None,
    user: User = None,
    purpose: Purpose = None,
    data: Data = None,
) -> None:
    """Write one self-contained HTML file: tag dictionary, audiences, tiers, reports, checks; it works offline."""
    from valtag_assets.site.page import write_page

    path = write_page(open_setting(catalog, data), as_of, into, asking(role, user, purpose))
    screen().print(str(path), markup=False, soft_wrap=True)
    if show:
        typer.launch(path.resolve().as_uri())
