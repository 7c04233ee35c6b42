"""``valtag serve``: tags, segments and content variants of single persons over HTTP (千人千面)."""

from typing import Annotated

import typer

from valtag_assets.commands.options import Catalog, Data
from valtag_assets.console.exits import Exit
from valtag_assets.console.opening import open_setting
from valtag_assets.console.screen import screen


def serve(
    catalog: Catalog = None,
    data: Data = None,
    port: Annotated[int, typer.Option("--port", min=1, max=65535)] = 8000,
    host: Annotated[
        str, typer.Option("--host", help="The address to listen on; beyond this machine, with keys only.")
    ] = "127.0.0.1",
    is_open: Annotated[
        bool, typer.Option("--open", help="Without keys: whoever is on this machine is the default role.")
    ] = False,
    build: Annotated[
        bool, typer.Option("--build", help="Only make the store of what is published, and end.")
    ] = False,
) -> None:
    """Answer over HTTP what is published of a person: tags, segments, content variants (千人千面)."""
    from valtag_assets.console import serving

    setting, out = open_setting(catalog, data), screen(errors=True)
    if build:
        serving.made_store(setting, out)
        return
    came_up = serving.serve(setting, out, host=host, port=port, is_open=is_open)
    raise typer.Exit(Exit.DONE if came_up else Exit.FAULT)
