"""The messages of all triggers: planned into the outbox from what the triggers decided, and sent through the gateway.

One asset, since one ledger knows what a person was sent by whichever trigger.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from valtag_assets.delivery.messaging import SentMessages, send_messages
from valtag_assets.delivery.outbox import Outbox, ledger_file
from valtag_assets.delivery.receipts import TakenIn
from valtag_assets.engine.triggers import triggers_name
from valtag_assets.graph.deliveries import GROUP, record_sending, sending_place
from valtag_assets.graph.receipts import take_in_receipts
from valtag_assets.graph.setting import Setting, TableDone
from valtag_assets.graph.stages import asset_key
from valtag_assets.graph.triggers import plan_messages

MESSAGES = "outbox/messages"


def message_assets(setting: Setting) -> list[dg.AssetsDefinition]:
    """The asset of all messages, for a catalog that has triggers."""
    return [_messages_asset(setting)] if setting.resolved.triggers else []


def _messages_asset(setting: Setting) -> dg.AssetsDefinition:
    resolved = setting.resolved
    steps = [(trigger, action) for trigger in resolved.triggers.values() for action in trigger.spec.actions]
    told = ", ".join(f"{trigger.code}.{action.step} → {action.to}" for trigger, action in steps)

    @dg.asset(
        key=asset_key(MESSAGES),
        deps=[asset_key(triggers_name(code)) for code in resolved.triggers],
        group_name=GROUP,
        description="**触达消息 · Messages**\n\n触发器决定的消息写入台账，经统一网关发送 · "
        "What triggers decided, written into the outbox and sent through the one gateway.",
        owners=[resolved.catalog.project.owner],
        kinds={"sqlite"},
        metadata={"steps 步骤": told},
    )
    def messages(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        started = time.monotonic()
        done = send_due(setting, context.run_id)
        faults = done.faults(setting)
        if faults:
            reason = f"not everything could be sent: {'; '.join(faults)}"
            setting.listen(TableDone(MESSAGES, "refused", time.monotonic() - started, reason=reason))
            raise dg.Failure(reason, allow_retries=False)
        return dg.MaterializeResult(metadata=_metadata(done))

    return messages


@dataclass(frozen=True)
class Done:
    """What one round did: messages ``planned`` anew by trigger, receipts taken in, what was sent, and how all
    messages of triggers stand now (``counts``: by destination, origin, state, reason)."""

    planned: Mapping[str, int]
    receipts: TakenIn
    sent: SentMessages
    counts: list[dict[str, Any]]

    def faults(self, setting: Setting) -> list[str]:
        """What somebody must see to, in words."""
        found = [f"{code} {why}" for code, why in self.sent.halted.items()]
        for code, states in self.sent.states.items():
            most = setting.resolved.destinations[code].spec.max_reject_share
            tried = sum(number for state, number in states.items() if state not in ("put off", "held_back"))
            if tried and states.get("rejected", 0) > most * tried:
                found.append(f"{code} rejected {states['rejected']} of {tried} messages, more than {most:.0%}")
        return found


def send_due(setting: Setting, run: str) -> Done:
    """Plan what triggers decided, take in receipts, send what is due."""
    place = sending_place(setting)
    for trigger in setting.resolved.triggers.values():
        for action in trigger.spec.actions:
            to = setting.resolved.destinations[action.to]
            sources = [*action.fields.values(), *(field.source for field in to.fields)]
            record_sending(setting, run, triggers_name(trigger.code), to, sources)
    with Outbox.open(ledger_file(setting.warehouse)) as outbox:
        planned = {
            code: plan_messages(setting, trigger, outbox, run) for code, trigger in setting.resolved.triggers.items()
        }
        taken = take_in_receipts(setting, place)
        sent = send_messages(place, setting.clock)
        counts = [row for row in outbox.counts() if row["kind"] == "message"]
    return Done(planned, taken, sent, counts)


def _metadata(done: Done) -> dict[str, Any]:
    """Numbers by state and reason; nobody is named."""
    columns = ("destination", "origin", "state", "reason", "messages")
    records = [dg.TableRecord({name: row[name] for name in columns}) for row in done.counts]
    found: dict[str, Any] = {
        "planned 新计划": sum(done.planned.values()),
        "sent 已发送": sum(states.get("sent", 0) for states in done.sent.states.values()),
        "receipts 新回执": done.receipts.receipts,
        "refused receipt lines 无效回执行": done.receipts.refused,
    }
    if records:
        found["messages 消息"] = dg.MetadataValue.table(records)
    return found
