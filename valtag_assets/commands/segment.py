"""``valtag segment …``: working with audiences."""

from pathlib import Path
from typing import Annotated

import typer

from valtag_assets.commands.options import AsOf, Catalog, Data, Json
from valtag_assets.console.opening import open_setting
from valtag_assets.console.screen import print_json, screen

segment_app = typer.Typer(no_args_is_help=True, help="Audiences 人群.")


@segment_app.command()
def portrait(
    segment: Annotated[str, typer.Argument(help="A saved audience.")],
    catalog: Catalog = None,
    as_of: AsOf = None,
    against: Annotated[str | None, typer.Option("--against", help="Another audience, instead of everybody.")] = None,
    into: Annotated[
        Path | None, typer.Option("--into", help="Write an HTML page and its pictures into this folder.")
    ] = None,
    role: Annotated[
        str | None, typer.Option("--role", help="A role of access.yaml; what it may not read is not compared.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="At most so many differences.")] = 30,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Portray an audience 画像分析: every tag against everybody, ranked by how much it differs."""
    from valtag_assets.console import portrait_view
    from valtag_assets.console.portrait import picture

    setting = open_setting(catalog, data)
    drawn = 0
    if into is not None:
        from valtag_assets.console.portrait_page import PANELS, write_page

        drawn = PANELS
    found = picture(setting, segment, as_of, against, role, histograms=drawn)
    written = write_page(found, into) if into is not None else []
    if as_json:
        print_json(found.to_json())
        return
    portrait_view.print_portrait(screen(), found, limit)
    for path in written:
        screen().print(str(path), markup=False, soft_wrap=True)


@segment_app.callback()
def audiences() -> None:
    """Audiences 人群: what sets them apart."""
