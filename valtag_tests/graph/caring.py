"""The shop with triggers: who spent much is cared for by text and adviser, who orders is thanked."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from valtag_assets.delivery.outbox import Outbox, ledger_file
from valtag_assets.graph.receipts import receipts_folder
from valtag_tests.graph.shop import FILES, PROJECT, Shop

MORNING = datetime(2024, 3, 11, 2, 0, tzinfo=UTC)  # 10:00 in Shanghai, the day after the as-of
CHANNELS = """
channels:
  - {code: sms, title: {zh: 短信, en: SMS}, reachable: gender is not null, quiet: {from: "21:00", to: "09:00"}}
  - {code: advisor, title: {zh: 顾问, en: Advisor}, reachable: "city = '成都'"}
contact:
  caps: [{at_most: 1, within: 1d, channel: sms}]
"""
CARE = """
trigger: care
title: {zh: 关怀, en: Care}
when: total_spend > 100 and city = '成都'
together: true
holdout: {share: 0.2, seed: 3}
actions:
  - {step: sms, to: gateway, fields: {spend: total_spend}, texts: {template: 'A"1'}}
  - {step: advisor, to: desk}
"""
THANKS = """
trigger: thanks
title: {zh: 谢谢, en: Thanks}
on: {event: {fact: orders, where: amount > 20}}
priority: -1
ttl: 5d
actions: [{step: sms, to: gateway}]
"""
RECEIVER = """
destination: {code}
title: {{zh: 接收, en: Receiver}}
kind: file
path: {code}.jsonl
format: jsonl
mode: append
channel: {channel}
"""
TRIGGERED = {
    "project.yaml": PROJECT + CHANNELS,
    "triggers/care.yaml": CARE,
    "triggers/thanks.yaml": THANKS,
    "destinations/gateway.yaml": RECEIVER.format(code="gateway", channel="sms"),
    "destinations/desk.yaml": RECEIVER.format(code="desk", channel="advisor"),
}


def with_files(shop: Shop, files: Mapping[str, str]) -> Shop:
    for name, text in files.items():
        path = shop.root / "catalog" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    shop.files = {**FILES, **shop.files, **files}
    shop.clock = lambda: MORNING
    return shop


def messages(shop: Shop, **wanted: Any) -> list[dict[str, Any]]:
    with Outbox.open(ledger_file(shop.setting.warehouse)) as outbox:
        return [row for row in outbox.read().to_pylist() if all(row[n] == v for n, v in wanted.items())]


def received(shop: Shop, code: str) -> list[dict[str, Any]]:
    folder = shop.root / "data" / "deliveries" / "shop"
    return [json.loads(line) for file in sorted(folder.rglob(f"*{code}*")) for line in lines_of(file)]


def lines_of(file: Path) -> list[str]:
    found = sorted(file.rglob("*.jsonl")) if file.is_dir() else [file]
    return [line for part in found for line in part.read_text(encoding="utf-8").splitlines()]


def land(shop: Shop, name: str, receipts: Sequence[Mapping[str, Any]]) -> None:
    folder = receipts_folder(shop.setting)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in receipts), encoding="utf-8")
