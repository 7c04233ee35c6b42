"""The options that most commands share."""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from valtag_assets.graph.setting import DEFAULT_CATALOG
from valtag_assets.spec.access import Asking


def local_date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"'{text}' is no date; write it as 2024-01-31") from error


def whole_text(text: str) -> str:
    """``text``, unless it holds what no text in a table can: NUL, or bytes that are no UTF-8."""
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise typer.BadParameter("it holds a character that no text has (NUL, or bytes that are no UTF-8)")
    return text


Person = Annotated[
    str,
    typer.Argument(
        parser=whole_text,
        metavar="PERSON",
        help="A person's id; with identity.yaml also a former one or an identifier.",
    ),
]
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
User = Annotated[
    str | None,
    typer.Option("--user", envvar="VALTAG_USER", help="Who asks (default: your name on this machine)."),
]
Purpose = Annotated[
    str | None,
    typer.Option("--purpose", envvar="VALTAG_PURPOSE", help="What for: a purpose of access.yaml."),
]


def asking(role: str | None = None, user: str | None = None, purpose: str | None = None) -> Asking:
    """Who asks, as the options say."""
    return Asking(role, user or "", purpose)
