"""``valtag inventory``: what a company's tables hold, and drafts of the sources that read them."""

from pathlib import Path
from typing import Annotated

import typer

from valtag_assets.commands.options import Json
from valtag_assets.console.screen import print_json, screen


def inventory(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE…",
            help="Files, globs, folders; file.duckdb:table, file.xlsx:sheet; postgres:VARIABLE (with the URL).",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="A catalog folder, new or not: drafts go there, with the page.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="The page's file (default: inventory.html in --out).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Take stock of tables 数据盘点: types, keys, joins, oddities, personal data; draft the sources of a catalog."""
    from valtag_assets.console.inventory import take, to_json, write_drafts
    from valtag_assets.console.inventory_view import print_inventory, print_written
    from valtag_assets.graph.setting import wall_clock
    from valtag_assets.site.inventory_page import write_page

    today = wall_clock().date()
    lines = screen(errors=True)
    found = take(sources, today, lambda name: lines.print(name, markup=False, style="dim", soft_wrap=True))
    if as_json:
        print_json(to_json(found))
    else:
        print_inventory(screen(), found)
    page = html or (out / "inventory.html" if out else None)
    if page is not None:
        write_page(found, page, today)
        lines.print(str(page), markup=False, soft_wrap=True)
    if out is not None:
        written = write_drafts(found, out, today)
        if not as_json:
            print_written(screen(), written, out)
