"""``valtag segment …``: working with audiences."""

from pathlib import Path
from typing import Annotated

import typer

from valtag_assets.commands.options import AsOf, Catalog, Data, Json, Person, Purpose, Role, User, asking
from valtag_assets.console.opening import open_setting
from valtag_assets.console.screen import print_json, screen

segment_app = typer.Typer(no_args_is_help=True, help="Audiences 人群: try a rule, look at members, ask why.")


@segment_app.command()
def preview(
    rule: Annotated[str, typer.Argument(help='A rule: "age between 18 and 25 and did_not(orders, within 30d)".')],
    catalog: Catalog = None,
    as_of: AsOf = None,
    role: Role = None,
    user: User = None,
    purpose: Purpose = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Try a rule on what is published: size, examples, overlap with saved audiences, reachability. Saves nothing."""
    from valtag_assets.console.preview import preview_rule, print_preview

    setting = open_setting(catalog, data)
    found = preview_rule(setting, rule, as_of, asking(role, user, purpose))
    if as_json:
        print_json(found.to_json())
    else:
        print_preview(screen(), setting.resolved, found)


@segment_app.command()
def rule(
    text: Annotated[str, typer.Argument(help="A rule as text, or the code of a saved audience.")],
    catalog: Catalog = None,
    as_json: Json = False,
) -> None:
    """Print a rule in both its forms: as one line of text, and as YAML for a catalog file."""
    from valtag_assets.console.rule_forms import print_forms, rule_forms

    forms = rule_forms(open_setting(catalog, None).resolved, text)
    if as_json:
        print_json(forms)
    else:
        print_forms(screen(), forms)


@segment_app.command()
def why(
    person: Person,
    segment: Annotated[str, typer.Argument(help="A saved audience.")],
    catalog: Catalog = None,
    as_of: AsOf = None,
    role: Role = None,
    user: User = None,
    purpose: Purpose = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Say why a person is in an audience or not: each condition, the value seen, the nearest change."""
    from valtag_assets.console.why import find_why, print_why

    found = find_why(open_setting(catalog, data), person, segment, as_of, asking(role, user, purpose))
    if as_json:
        print_json(found.to_json())
    else:
        print_why(screen(), found)


@segment_app.command()
def portrait(
    segment: Annotated[str, typer.Argument(help="A saved audience.")],
    catalog: Catalog = None,
    as_of: AsOf = None,
    against: Annotated[str | None, typer.Option("--against", help="Another audience, instead of everybody.")] = None,
    into: Annotated[
        Path | None, typer.Option("--into", help="Write an HTML page and its pictures into this folder.")
    ] = None,
    role: Role = None,
    user: User = None,
    purpose: Purpose = None,
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
        from valtag_assets.site.portrait_page import PANELS, write_page

        drawn = PANELS
    found = picture(setting, segment, as_of, against, asking(role, user, purpose), histograms=drawn)
    written = write_page(found, into) if into is not None else []
    if as_json:
        print_json(found.to_json())
        return
    portrait_view.print_portrait(screen(), found, limit)
    for path in written:
        screen().print(str(path), markup=False, soft_wrap=True)
