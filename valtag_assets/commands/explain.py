"""``valtag explain``."""

from typing import Annotated

import typer

from valtag_assets.commands.options import AsOf, Catalog, Data, Json, Person, Purpose, Role, User, asking
from valtag_assets.console.exits import Exit
from valtag_assets.console.opening import open_setting
from valtag_assets.console.screen import print_json, screen

MESSAGE = "message"
"""In the place of a person: a message is explained."""


def explain(
    person: Person,
    tag: Annotated[str, typer.Argument(help="A tag, or a column of a score; after the word message, its key.")],
    catalog: Catalog = None,
    as_of: AsOf = None,
    role: Role = None,
    user: User = None,
    purpose: Purpose = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="At most so many source rows.")] = 20,
    deep: Annotated[int, typer.Option("--deep", min=0, help="So many levels of the tags it is made of.")] = 3,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Explain one value down to its source rows and prove it; exit code 2 when these give another value.

    valtag explain message KEY: why a message was sent, or was not.
    """
    from valtag_assets.console import explain_view
    from valtag_assets.console.explain import Asked
    from valtag_assets.console.explain import explain as find

    setting, by = open_setting(catalog, data), asking(role, user, purpose)
    if person == MESSAGE:
        from valtag_assets.console.message import Looking, explain_message
        from valtag_assets.console.message_view import print_story

        story = explain_message(setting, Looking(tag, by, limit, deep))
        if as_json:
            print_json(story.to_json())
        else:
            print_story(screen(), setting, story)
        raise typer.Exit(Exit.DONE if all(item.proven for item in story.tags) else Exit.HELD)
    found = find(setting, Asked(person, tag, as_of, by, limit, deep))
    if as_json:
        print_json(explain_view.as_json(found))
    else:
        explain_view.print_explanation(screen(), setting, found)
    raise typer.Exit(Exit.DONE if found.proven else Exit.HELD)
