"""``valtag identity …``: who a person is made of, and all persons in numbers."""

from pathlib import Path
from typing import Annotated

import typer

from valtag_assets.commands.options import Catalog, Data, Json, Purpose, Role, User, asking, whole_text
from valtag_assets.console.opening import open_setting
from valtag_assets.console.screen import print_json, screen

identity_app = typer.Typer(
    no_args_is_help=True, help="Identities 身份: which identifiers are one person (identity.yaml)."
)
_Id = Annotated[str, typer.Argument(parser=whole_text, metavar="ID", help="A person's id, or any identifier.")]


@identity_app.command()
def show(
    text: _Id,
    catalog: Catalog = None,
    role: Role = None,
    user: User = None,
    purpose: Purpose = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Also write the graph to an .svg or .png.")
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """The identifiers of a person and how they hang together; several persons where a key had several owners."""
    from valtag_assets.console.identity import find_graphs
    from valtag_assets.console.identity_view import print_graph, write_picture

    setting = open_setting(catalog, data)
    found = find_graphs(setting, text, asking(role, user, purpose))
    if picture is not None:
        write_picture(setting, found[0], picture)
    if as_json:
        print_json([item.to_json() for item in found])
        return
    for item in found:
        print_graph(screen(), setting, item)


@identity_app.command()
def report(
    catalog: Catalog = None,
    role: Role = None,
    user: User = None,
    purpose: Purpose = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Sizes, match rates of the sources, refused identifiers, merges and splits."""
    from valtag_assets.console.identity import identity_report
    from valtag_assets.console.identity_view import print_report

    setting = open_setting(catalog, data)
    found = identity_report(setting, asking(role, user, purpose))
    if as_json:
        print_json(found.to_json())
    else:
        print_report(screen(), setting, found)


@identity_app.command()
def suggestions(
    catalog: Catalog = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many pairs.")] = 20,
    role: Role = None,
    user: User = None,
    purpose: Purpose = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Who may be one person (identity.yaml: suggest), the likeliest first; nothing is merged by it."""
    from valtag_assets.console.suggestions import find_pairs, print_pairs

    found = find_pairs(open_setting(catalog, data), asking(role, user, purpose), limit)
    if as_json:
        print_json(found.to_json())
    else:
        print_pairs(screen(), found)
