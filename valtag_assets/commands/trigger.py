"""``valtag trigger …``: triggers and their messages."""

from typing import Annotated

import typer

from valtag_assets.commands.options import AsOf, Catalog, Data, Json, Person, Purpose, Role, User, asking
from valtag_assets.console.exits import Exit
from valtag_assets.console.opening import open_setting
from valtag_assets.console.screen import print_json, screen

trigger_app = typer.Typer(no_args_is_help=True, help="Triggers 触发器: what they decided, what they would, sending.")
_Code = Annotated[str, typer.Argument(help="A trigger of the catalog.")]
_Name = Annotated[str, typer.Argument(help="all, channel.sms, destination.x, trigger.x or delivery.x.")]


@trigger_app.command("list")
def every(
    catalog: Catalog = None,
    role: Role = None,
    user: User = None,
    purpose: Purpose = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Every trigger: what its newest as-of decided, and how its messages stand."""
    from valtag_assets.console.triggers import print_summaries, summaries

    found = summaries(open_setting(catalog, data), asking(role, user, purpose))
    if as_json:
        print_json([item.to_json() for item in found])
    else:
        print_summaries(screen(), found)


@trigger_app.command()
def show(
    code: _Code,
    catalog: Catalog = None,
    role: Role = None,
    user: User = None,
    purpose: Purpose = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """One trigger: its definition, what it decided, how its messages stand."""
    from valtag_assets.console.triggers import find_trigger, print_summary, summary

    setting = open_setting(catalog, data)
    trigger = find_trigger(setting, code)
    found = summary(setting, trigger, asking(role, user, purpose))
    if as_json:
        print_json(found.to_json())
    else:
        print_summary(screen(), trigger, found)


@trigger_app.command("dry-run")
def dry_run(
    code: _Code,
    catalog: Catalog = None,
    as_of: AsOf = None,
    role: Role = None,
    user: User = None,
    purpose: Purpose = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Say what a trigger would decide, and decide nothing."""
    from valtag_assets.console.triggers import forecast, print_forecast
    from valtag_assets.graph.as_of import choose_as_of

    setting = open_setting(catalog, data)
    found = forecast(setting, code, as_of or choose_as_of(setting), asking(role, user, purpose))
    if as_json:
        print_json(found.to_json())
    else:
        print_forecast(screen(), found)


@trigger_app.command()
def log(
    person: Person,
    catalog: Catalog = None,
    role: Role = None,
    user: User = None,
    purpose: Purpose = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """The decision log of a person: every entry with decision and reason, every message with what became of it."""
    from valtag_assets.console.triggers import person_log, print_log

    found = person_log(open_setting(catalog, data), person, asking(role, user, purpose))
    if as_json:
        print_json(found.to_json())
    else:
        print_log(screen(), found)


@trigger_app.command()
def send(
    catalog: Catalog = None,
    role: Role = None,
    user: User = None,
    purpose: Purpose = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Take in receipts, plan what triggers decided, send what is due; exit code 2 when not everything could be."""
    from valtag_assets.console.sending import print_sent, send_now

    setting = open_setting(catalog, data)
    done = send_now(setting, asking(role, user, purpose))
    faults = done.faults(setting)
    if as_json:
        print_json({"sent": done.sent.states, "planned": done.planned, "faults": faults})
    else:
        print_sent(screen(), done, faults)
    raise typer.Exit(Exit.HELD if faults else Exit.DONE)


@trigger_app.command()
def stop(name: _Name, catalog: Catalog = None, data: Data = None) -> None:
    """The kill switch: nothing more is sent, from the next message on, until it is started again."""
    from valtag_assets.console.triggers import find_stop
    from valtag_assets.delivery.gateway import stops_of

    setting = open_setting(catalog, data)
    stops_of(setting.warehouse).stop(find_stop(setting, name))
    screen().print(f"{name} is stopped; its messages wait. valtag trigger start {name}", markup=False)


@trigger_app.command()
def start(name: _Name, catalog: Catalog = None, data: Data = None) -> None:
    """Let go on what was stopped."""
    from valtag_assets.console.triggers import find_stop
    from valtag_assets.delivery.gateway import stops_of

    setting = open_setting(catalog, data)
    was = stops_of(setting.warehouse).start(find_stop(setting, name))
    screen().print(f"{name} goes on" if was else f"{name} was not stopped", markup=False)
