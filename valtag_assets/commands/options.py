"""The options that most commands share."""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from valtag_assets.graph.setting import DEFAULT_CATALOG


def local_date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"'{text}' is no date; write it as 2024-01-31") from error


Catalog = Annotated[
    str | None,
    typer.Option(
        "--catalog",
        "-c",
        envvar="VALTAG_CATALOG",
        help=f"A catalog folder, or the name of a shipped catalog (default {DEFAULT_CATALOG}).",
    ),
]
Data = Annotated[
    Path | None,
    typer.Option("--data", envvar="VALTAG_DATA", help="Folder of landing files and the warehouse (default ./data)."),
]
AsOf = Annotated[
    date | None,
    typer.Option(
        "--as-of", parser=local_date, metavar="DATE", help="The date at whose end values hold, as 2024-01-31."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output, for programs.")]
Role = Annotated[str | None, typer.Option("--role", help="A role of access.yaml; what it may not read is masked.")]
