"""What a table and its columns mean, kept beside its snapshots for the views: the words of the catalog of today.

They are no part of a snapshot: other words don't make another one.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from valtag_assets.warehouse import durable

COMMENTS = "comments.json"


def keep(folder: Path, said: Mapping[str, Any]) -> bool:
    """Keep ``said`` ({"table": text, "columns": {name: text}}) in the table's ``folder``; whether it is new.

    One writer at a time: the caller holds the table's lock. WarehouseError if it can't be written.
    """
    if kept(folder) == said:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / f".{COMMENTS}.new"
    durable.write(beside, json.dumps(said, ensure_ascii=False, indent=1, sort_keys=True) + "\n")
    os.replace(beside, folder / COMMENTS)
    return True


def kept(folder: Path) -> dict[str, Any]:
    """What was said last; {} where nothing was, or it can't be read: the next run says it anew."""
    with suppress(FileNotFoundError, ValueError):
        found = json.loads((folder / COMMENTS).read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    return {}
