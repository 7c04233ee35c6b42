"""The certificate of an erasure: what was done and what was proven, without anything that tells the persons."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from valtag_assets.graph.erasing import Erased, finish
from valtag_assets.graph.setting import Setting
from valtag_assets.warehouse import durable
from valtag_assets.warehouse.tombstones import FOLDER, Tombstones


def certify(setting: Setting, done: Erased) -> Path:
    """Write the certificate of a complete erasure, as JSON and as text, and forget the order; the JSON file."""
    assert done.complete
    folder = setting.warehouse.root / FOLDER
    said = certificate(setting, done)
    file = folder / f"certificate-{done.order.id}.json"
    for path, text in (
        (file, json.dumps(said, ensure_ascii=False, indent=1) + "\n"),
        (file.with_suffix(".txt"), as_text(said)),
    ):
        aside = path.with_name(f".{path.name}.new")
        durable.write(aside, text)
        os.replace(aside, path)
    durable.flush(folder)
    finish(setting)
    return file


def certificate(setting: Setting, done: Erased) -> dict[str, Any]:
    """Everything the certificate says; ``hash`` is over the rest."""
    order, stones = done.order, Tombstones(setting.warehouse.root)
    said: dict[str, Any] = {
        "erasure": order.id,
        "catalog": setting.name,
        "ordered": order.at,
        "finished": done.finished.isoformat(),
        "actor": order.actor,
        "role": order.role,
        "purpose": order.purpose,
        "reason": order.reason,
        "keys": sorted(map(stones.digest, order.persons)),
        "identifiers_erased": len(order.identifiers),
        "identifiers_left_to_others": order.shared,
        "tables": [
            {"table": table, "snapshots": snapshots, "rows": rows, "cells": cells}
            for table, snapshots, rows, cells in done.tables
        ],
        "made_things_removed": done.cleared.removed,
        "texts_masked": done.cleared.masked,
        "destination_rows": done.dropped,
        "withdrawals": {code: dict(states) for code, states in done.withdrawn.states.items()},
        "told_and_not_to_be_taken_back": dict(done.withdrawn.told),
        "ledger_rows": dict(done.ledger),
        "receipts": done.receipts,
        "company_files": {file: list(rows) for file, rows in order.landing.items()},
        "scan": {
            "files": done.scanned.files,
            "bytes": done.scanned.bytes,
            "found": len(done.scanned.hits),
            "closed": sorted(file.name for file in done.scanned.closed),
        },
    }
    text = json.dumps(said, ensure_ascii=False, sort_keys=True)
    return {**said, "hash": hashlib.sha256(text.encode()).hexdigest()}


def as_text(said: dict[str, Any]) -> str:
    """The certificate for people, in both languages."""
    lines = [
        "删除证明 · Certificate of erasure",
        "",
        f"编号 erasure: {said['erasure']}",
        f"目录 catalog: {said['catalog']}",
        f"申请 ordered: {said['ordered']} ({said['actor']})",
        f"完成 finished: {said['finished']}",
        f"目的 purpose: {said['purpose'] or '-'}; 原因 reason: {said['reason'] or '-'}",
        "",
        f"删除的标识 identifiers erased: {len(said['keys'])} keys, {said['identifiers_erased']} personal values",
        f"他人也持有而保留 left, since others have them too: {said['identifiers_left_to_others']}",
        "",
        "数据表 tables (行 rows, 他人行中的提及 mentions in rows of others):",
        *[
            f"  {item['table']}: {item['rows']} rows, {item['cells']} mentions, {item['snapshots']} snapshots"
            for item in said["tables"]
        ],
        f"派生文件 files made of tables, removed: {said['made_things_removed']}",
        f"日志等文本 texts masked: {said['texts_masked']}",
        f"投放文件与库 rows at destinations: {said['destination_rows']}; 回执 receipts: {said['receipts']}",
        *[f"  撤回 withdrawn from {code}: {states}" for code, states in said["withdrawals"].items()],
        *[
            f"  已告知且无法撤回，请联系对方 told {many} times, ask them to erase: {code}"
            for code, many in said["told_and_not_to_be_taken_back"].items()
        ],
        "",
        "仍含此人的公司文件 the company's own files that still hold the persons (file: rows):",
        *[f"  {file}: {', '.join(map(str, rows))}" for file, rows in said["company_files"].items()],
        "",
        f"扫描 scan: {said['scan']['files']} files, {said['scan']['bytes']} bytes looked through, "
        f"{said['scan']['found']} found 未发现任何标识",
        *[
            f"  打包文件，无法查看，请自行检查 packed so that nobody could look into it, see for yourself: {name}"
            for name in said["scan"]["closed"]
        ],
        f"校验 hash: {said['hash']}",
    ]
    return "\n".join(lines) + "\n"
