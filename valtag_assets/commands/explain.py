"""``valtag explain``."""

from typing import Annotated

import typer

from valtag_assets.commands.options import AsOf, Catalog, Data, Json, Person, Role
from valtag_assets.console.exits import Exit
from valtag_assets.console.opening import open_setting
from valtag_assets.console.screen import print_json, screen


def explain(
    person: Person,
    tag: Annotated[str, typer.Argument(help="A tag, or a column of a score.")],
    catalog: Catalog = None,
    as_of: AsOf = None,
    role: Role = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="At most so many source rows.")] = 20,
    deep: Annotated[int, typer.Option("--deep", min=0, help="So many levels of the tags it is made of.")] = 3,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Explain one value down to its source rows and prove it; exit code 2 when these give another value."""
    from valtag_assets.console import explain_view
    from valtag_assets.console.explain import Asked
    from valtag_assets.console.explain import explain as find

    setting = open_setting(catalog, data)
    found = find(setting, Asked(person, tag, as_of, role, limit, deep))
    if as_json:
        print_json(explain_view.as_json(found))
    else:
        explain_view.print_explanation(screen(), setting, found)
    raise typer.Exit(Exit.DONE if found.proven else Exit.HELD)
