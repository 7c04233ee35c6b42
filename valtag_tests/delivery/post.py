"""A small catalog whose tables a test publishes itself, and its deliveries."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from valtag_assets.delivery.columns import field_tables
from valtag_assets.delivery.delivering import Delivered, Terms, deliver, forecast, ledger_file, ledger_salt
from valtag_assets.delivery.outbox import Outbox
from valtag_assets.delivery.route import Place
from valtag_assets.delivery.sync import Occasion
from valtag_assets.warehouse.snapshot import TableRef
from valtag_tests.serving.desk import AS_OF, FILES, Desk, attribute_rows, interest_rows, members

TITLE = {"zh": "某物", "en": "Thing"}
FIELDS = ["city", "points", "rate", "is_vip", "brands", "last_order_at", "elders"]
ROLES = {"roles": {"crm": "pii", "shop": "internal"}, "default_role": "shop"}


def destination(kind: str, **more: Any) -> dict[str, Any]:
    return {"destination": "there", "title": TITLE, "kind": kind, "access": "crm", "fields": FIELDS, **more}


@cache
def _published() -> TemporaryDirectory[str]:
    """The folder of a desk where everything is published once; gone when the process ends."""
    folder = TemporaryDirectory(prefix="valtag-post-")
    desk = Desk.at(Path(folder.name))
    desk.publish("tags/attribute", attribute_rows())
    desk.publish("tags/interest", interest_rows())
    for code in desk.resolved.segments:
        desk.publish(f"segments/{code}", members(code), holdout=True)
    return folder


@dataclass
class Post:
    """One delivery, of the segment "vips", to one destination."""

    desk: Desk
    environment: Mapping[str, str] = field(default_factory=dict)
    runs: int = 0
    terms: Terms = field(default_factory=lambda: Terms({}))
    at: datetime = datetime(2024, 4, 2, tzinfo=UTC)

    @classmethod
    def of(cls, root: Path, to: Mapping[str, Any], files: Mapping[str, Any] | None = None, **more: Any) -> "Post":
        """Everything published once; ``more`` is said of the delivery."""
        delivery = {"code": "vips_there", "title": TITLE, "segment": "vips", "to": "there", "patience": 0, **more}
        written: dict[str, Any] = {
            "destinations/there.yaml": dict(to),
            "deliveries/all.yaml": {"deliveries": [delivery]},
        }
        kept = {name: text for name, text in FILES.items() if not name.startswith("placements")}
        desk = Desk.at(
            root, {**kept, **written, "access.yaml": ROLES, "placements/banner.yaml": None, **(files or {})}
        )
        if not desk.warehouse.root.exists():
            shutil.copytree(Path(_published().name) / "warehouse", desk.warehouse.root)
        desk.published = 10  # what is published from now on is newer
        return cls(desk)

    @property
    def place(self) -> Place:
        spill = self.desk.place.spill
        return Place(self.desk.resolved, self.desk.warehouse, spill, self.desk.root / "files", self.environment)

    @property
    def outbox(self) -> Outbox:
        return Outbox.open(ledger_file(self.desk.warehouse))

    def occasion(self, as_of: date = AS_OF) -> Occasion:
        resolved, warehouse = self.desk.resolved, self.desk.warehouse
        delivery = resolved.deliveries["vips_there"]
        names = {"segments/vips", *field_tables(resolved, delivery.fields)}
        names |= {f"{item.kind}s/{item.code}" for item in resolved.segments["vips"].excluded}
        found = {name: warehouse.latest(TableRef.parse(name)) for name in names}
        snapshots = {name: snapshot for name, snapshot in found.items() if snapshot is not None}
        assert set(snapshots) == names
        self.runs += 1
        return Occasion(
            as_of=as_of,
            run=f"run {self.runs}",
            now=self.at,
            inputs={name: snapshot.files for name, snapshot in snapshots.items()},
            ids={name: snapshot.id for name, snapshot in snapshots.items()},
            salt=ledger_salt(warehouse),
        )

    def deliver(self) -> Delivered:
        return deliver(self.place, self.desk.resolved.deliveries["vips_there"], self.occasion(), self.terms, self.now)

    def forecast(self) -> Delivered:
        return forecast(self.place, self.desk.resolved.deliveries["vips_there"], self.occasion(), self.terms)

    def now(self) -> datetime:
        self.at += timedelta(milliseconds=1)
        return self.at

    def members(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Publish who is in the audience."""
        self.desk.publish("segments/vips", rows, holdout=True)

    def attributes(self, **changed: Mapping[str, Any]) -> None:
        """Publish the attributes with some of them changed: P00={"city": …}."""
        rows = [{**row, **changed.get(str(row["person_id"]), {})} for row in attribute_rows()]
        self.desk.publish("tags/attribute", rows)


def sent(done: Delivered) -> dict[tuple[str, str], int]:
    """How many messages of each operation ended how."""
    found: dict[tuple[str, str], int] = {}
    for row in done.rows:
        key = (row["operation"], row["state"])
        found[key] = found.get(key, 0) + row["messages"]
    return found
