"""``valtag insight`` and ``valtag effect``: which tags earn their keep, and what triggers brought."""

from typing import Annotated

import typer

from valtag_assets.commands.options import AsOf, Catalog, Data, Json, Purpose, Role, User, asking
from valtag_assets.console.opening import open_setting
from valtag_assets.console.screen import print_json, screen

_Tag = Annotated[str | None, typer.Argument(help="A tag; left out, all of them.")]
_Trigger = Annotated[str | None, typer.Argument(help="A trigger; left out, all that are judged.")]


def insight(
    tag: _Tag = None,
    catalog: Catalog = None,
    as_of: AsOf = None,
    give_up: Annotated[
        bool, typer.Option("--give-up", help="Only what to retire or merge: why, and what reads it.")
    ] = False,
    role: Role = None,
    user: User = None,
    purpose: Purpose = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show how useful tags are 标签价值评分: uses, messages, coverage, contribution, what to keep."""
    from valtag_assets.console.insight import print_to_give_up, print_usefulness, to_give_up, usefulness_of

    setting, by = open_setting(catalog, data), asking(role, user, purpose)
    if give_up:
        lines = to_give_up(setting, as_of, by)
        print_json(lines) if as_json else print_to_give_up(screen(), setting, lines)
        return
    found = usefulness_of(setting, tag, as_of, by)
    if as_json:
        print_json(found)
    else:
        print_usefulness(screen(), setting, found)


def effect(
    trigger: _Trigger = None,
    catalog: Catalog = None,
    as_of: AsOf = None,
    role: Role = None,
    user: User = None,
    purpose: Purpose = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show what triggers brought 触达效果: sent, clicked, converted, and the lift over those held out."""
    from valtag_assets.console.insight import effects_of, print_effects

    found = effects_of(open_setting(catalog, data), trigger, as_of, asking(role, user, purpose))
    if as_json:
        print_json(found)
    else:
        print_effects(screen(), found)
