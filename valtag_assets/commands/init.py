"""``valtag init``: a catalog of one's own to begin with."""

from pathlib import Path
from typing import Annotated

import typer

from valtag_assets.console.exits import Exit
from valtag_assets.console.screen import screen

_NAME = "The new catalog's folder; its last part is the name: lower-case ASCII letters, digits and _."
_PACK = "A trade's starter pack: retail 零售, beauty 美妆, education 教育, clinic 医美; list tells of them."


def init(
    name: Annotated[str | None, typer.Argument(help=_NAME)] = None,
    into: Annotated[Path, typer.Option("--into", help="The folder to make it in.")] = Path("."),
    pack: Annotated[str | None, typer.Option("--pack", help=_PACK)] = None,
    persons: Annotated[int, typer.Option("--persons", help="So many persons in the pack's made-up tables.")] = 3000,
) -> None:
    """Make a commented starter catalog with small tables, or that of a trade; it runs as it is."""
    from valtag_assets.console.starter import LIST, init_catalog, print_packs

    out = screen()
    if pack == LIST:
        print_packs(out)
        raise typer.Exit(Exit.DONE)
    if name is None:
        raise typer.BadParameter(_NAME, param_hint="NAME")
    folder = init_catalog(name, into, pack, persons)
    out.print(f"made {folder}; read its project.yaml first. It runs as it is:", markup=False, soft_wrap=True)
    out.print(f"  valtag check --catalog {folder}\n  valtag run --catalog {folder}", markup=False, soft_wrap=True)
