"""``valtag erase``: what would be erased, what was, and what is still in the way."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from valtag_assets.console.doors import oversee
from valtag_assets.console.screen import count, table
from valtag_assets.engine.access import Need
from valtag_assets.engine.reader import Reader
from valtag_assets.graph.certificate import certify
from valtag_assets.graph.erasing import Erased, Orderer, carry_out, order_erasure
from valtag_assets.graph.setting import Setting
from valtag_assets.spec.access import Asking
from valtag_assets.spec.mistake import Mistake
from valtag_assets.warehouse.journal import Order, begun


def find_order(
    setting: Setting, asked: list[str], listed: Path | None, by: Asking, reason: str | None = None
) -> Order:
    """The order for these persons and those of the file ``listed``, one a line. Mistake where there is none."""
    reader = eraser(setting, by)
    wanted = [*asked, *(lines_of(listed) if listed is not None else [])]
    if not wanted:
        raise Mistake("nobody is named: valtag erase PERSON…, or --list with a file of one person a line")
    return order_erasure(setting, wanted, Orderer(reader.user, reader.role, reader.purpose or by.purpose, reason))


def open_order(setting: Setting, by: Asking) -> Order:
    """The order that was begun and not finished. Mistake where there is none."""
    eraser(setting, by)
    found = begun(setting.warehouse.root)
    if found is None:
        raise Mistake("no erasure is open: there is nothing to go on with")
    return found


def eraser(setting: Setting, by: Asking) -> Reader:
    """Who erases. Denied unless he may read personal data, of all brands: he will see whom he erases."""
    return oversee(setting, "personal data, and so erase", "erase", by, Need("pii"))


def lines_of(file: Path) -> list[str]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Mistake(f"{file} can't be read as UTF-8 text, one person a line: {type(error).__name__}") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def run_order(setting: Setting, order: Order) -> tuple[Erased, Path | None]:
    """Carry it out; the certificate's file if all is done, else the order stays open."""
    done = carry_out(setting, order)
    return done, certify(setting, done) if done.complete else None


def order_json(order: Order) -> dict[str, Any]:
    """What an order is about, without whom."""
    return {
        "erasure": order.id,
        "keys": len(order.persons),
        "identifiers": len(order.identifiers),
        "left_to_others": order.shared,
        "company_files": {file: list(rows) for file, rows in order.landing.items()},
    }


def print_order(console: Console, order: Order) -> None:
    """What will be erased, in numbers."""
    rows = sum(map(len, order.landing.values()))
    console.print(
        Text(
            f"{len(order.persons):,} keys and {len(order.identifiers):,} personal values will be erased everywhere"
            f" ({order.shared:,} stay, as others have them too); {rows:,} rows of the company's own files hold them"
        ),
        soft_wrap=True,
    )


def print_erased(console: Console, done: Erased, certificate: Path | None) -> None:
    """What was erased, what is in the way, and where the certificate lies."""
    rows = [[name, count(snapshots), count(many), count(cells)] for name, snapshots, many, cells in done.tables]
    console.print(table("", ["!table", ">snapshots", ">rows", ">mentions"], rows))
    for code, why in done.withdrawn.waiting.items():
        console.print(Text(f"not withdrawn from {code}: {why}", style="red"), soft_wrap=True)
    for hit in done.scanned.hits:
        console.print(Text(f"still there: {hit.file} ({hit.how})", style="red"), soft_wrap=True)
    looked = f"{done.scanned.files:,} files looked through, {len(done.scanned.hits):,} with anything left"
    console.print(Text(looked), soft_wrap=True)
    for file in done.scanned.closed:
        console.print(Text(f"could not be looked into, see for yourself: {file}", style="yellow"), soft_wrap=True)
    if certificate is None:
        console.print("not finished: put this right, then valtag erase --resume", style="red")
    else:
        console.print(Text(f"certificate 删除证明: {certificate.with_suffix('.txt')}"), soft_wrap=True)
