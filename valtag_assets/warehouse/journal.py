"""The journal of an erasure that is not finished: what it is about, so that it can be gone on with after a kill.

It holds what is to be erased, in a file for its owner only, and goes at the end. While it is there no other erasure
begins.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from valtag_assets.warehouse import durable
from valtag_assets.warehouse.tombstones import FOLDER

_FILE = "open.json"


@dataclass(frozen=True)
class Order:
    """An erasure as it was ordered. ``at``: an instant, ISO 8601. The rest is as ``engine.erasure.persons.Found``."""

    id: str
    at: str
    actor: str
    role: str | None
    purpose: str | None
    reason: str | None
    persons: Sequence[str]
    identifiers: Sequence[str]
    shared: int
    landing: Mapping[str, Sequence[int]]
    until: Mapping[str, str] = field(default_factory=dict)


def journal(root: Path) -> Path:
    """Where the order lies until it is carried out."""
    return root / FOLDER / _FILE


def begun(root: Path) -> Order | None:
    """The erasure that was begun and not finished, if there is one."""
    file = journal(root)
    if not file.exists():
        return None
    return Order(**json.loads(file.read_text(encoding="utf-8")))


def begin(root: Path, order: Order) -> None:
    """Write the order down; on disk when this returns."""
    file = journal(root)
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_name(f".{_FILE}.new")
    aside.touch(mode=0o600)
    durable.write(aside, json.dumps(asdict(order), ensure_ascii=False))
    os.replace(aside, file)
    durable.flush_folders(file.parent, root)


def end(root: Path) -> None:
    """The erasure is finished."""
    journal(root).unlink(missing_ok=True)
    durable.flush(journal(root).parent)
