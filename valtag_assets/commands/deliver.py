"""``valtag deliver`` and ``valtag outbox``: audiences to destinations, and the ledger of every message."""

from dataclasses import replace
from typing import Annotated

import typer

from valtag_assets.commands.options import AsOf, Catalog, Data, Json, Purpose, Role, User, asking
from valtag_assets.console.exits import Exit
from valtag_assets.console.opening import open_setting
from valtag_assets.console.screen import print_json, screen


def deliver(
    code: Annotated[str, typer.Argument(help="A delivery of the catalog.")],
    catalog: Catalog = None,
    as_of: AsOf = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be sent and what it costs, and send nothing.")
    ] = False,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="The audience really changed so much: send it all the same.")
    ] = False,
    afresh: Annotated[
        bool, typer.Option("--afresh", help="The destination has lost what it held: send everything again.")
    ] = False,
    role: Role = None,
    user: User = None,
    purpose: Purpose = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Bring a destination to what is published of its audience: adds, changes, removes."""
    from valtag_assets.console import deliveries

    setting, out = replace(open_setting(catalog, data), confirmed=confirm, afresh=afresh), screen()
    by = asking(role, user, purpose)
    if dry_run:
        found = deliveries.forecast(setting, code, as_of, by)
        if as_json:
            print_json(found.to_json())
        else:
            deliveries.print_forecast(out, found)
        raise typer.Exit(found.exit)
    delivery = deliveries.find_delivery(setting, code)
    day = as_of or deliveries.newest(setting, delivery)
    ended = deliveries.run_delivery(setting, delivery, day, by)
    if as_json:
        print_json(deliveries.delivered_json(setting, delivery, day))
    else:
        deliveries.print_delivered(out, setting, delivery, day)
    raise typer.Exit(ended)


def outbox(
    catalog: Catalog = None,
    requeue: Annotated[
        str | None, typer.Option("--requeue", metavar="KEY", help="Send this unknown message (again).")
    ] = None,
    close: Annotated[
        str | None, typer.Option("--close", metavar="KEY", help="Leave this unknown message as it is.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="At most so many unknown messages.")] = 20,
    role: Role = None,
    user: User = None,
    purpose: Purpose = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Count the messages of every destination; decide about those of which nobody knows whether they were sent."""
    from valtag_assets.console import deliveries

    setting = open_setting(catalog, data)
    with deliveries.deciding(setting, asking(role, user, purpose)), deliveries.outbox_of(setting) as ledger:
        if requeue is not None:
            ledger.resolve(requeue, "requeue", setting.clock())
        if close is not None:
            ledger.resolve(close, "close", setting.clock())
        counts, waiting = ledger.counts(), deliveries.waiting_rows(ledger, limit)
    if as_json:
        print_json({"messages": counts, "unknown": waiting})
    else:
        deliveries.print_outbox(screen(), counts, waiting)
    raise typer.Exit(Exit.HELD if waiting else Exit.DONE)
