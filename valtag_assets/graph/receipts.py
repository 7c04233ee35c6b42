"""Receipts that landed: taken into the ledger before anything is sent, and given back as a fact."""

from pathlib import Path

from valtag_assets.delivery.gateway import Gateway
from valtag_assets.delivery.outbox import Outbox, ledger_file
from valtag_assets.delivery.receipts import Receipts, TakenIn, export
from valtag_assets.delivery.route import Place
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.sources import landing_folder
from valtag_assets.graph.successors import follow_persons


def receipts_folder(setting: Setting) -> Path:
    """Where files of receipts land: JSON lines."""
    return setting.data / "receipts" / setting.name


def receipts_landing(setting: Setting) -> Path:
    """Where receipts lie that a source may read as a fact: matched to person, trigger, step and channel."""
    return landing_folder(setting) / setting.name / "receipts"


def take_in_receipts(setting: Setting, place: Place) -> TakenIn:
    """Take in what landed: somebody may have unsubscribed, or have become one person with somebody who had."""
    ledger = ledger_file(setting.warehouse)
    with Outbox.open(ledger) as outbox, Receipts.open(ledger) as receipts:
        follow_persons(setting, outbox)
        taken = receipts.take_in(receipts_folder(setting), setting.clock())
        if taken.files:
            export(receipts.read(), Gateway.of(place).channel_of, receipts_landing(setting))
    return taken
