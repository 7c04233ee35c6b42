"""A small catalog whose tables a test publishes itself, and the service over them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from starlette.testclient import TestClient

from valtag_assets.engine.identity.tables import COLUMNS, identity_columns
from valtag_assets.engine.lookup import column_types
from valtag_assets.expression.resolved import Resolved
from valtag_assets.serving.app import create_app
from valtag_assets.serving.building import build_store
from valtag_assets.serving.keys import read_keys
from valtag_assets.serving.published import published
from valtag_assets.serving.service import Place, Service
from valtag_assets.spec.types import BOOLEAN, TEXT
from valtag_assets.warehouse.audit import AuditLog
from valtag_assets.warehouse.derived import Derived
from valtag_assets.warehouse.snapshot import Attempt, Snapshot, TableRef, Verdict
from valtag_assets.warehouse.store import Warehouse
from valtag_tests.kit import arrow_type, category, make_catalog, tag

AS_OF = date(2024, 3, 10)
BEFORE = AS_OF - timedelta(days=1)
SECRETS = {"SHOP_KEY": "shop-secret-of-24-letters", "DESK_KEY": "desk-secret-of-24-letters"}
OUTSIDE = "the-secret-of-the-outside"

ATTRIBUTE = category(
    "attribute",
    tag("city", "text", {"master": "members", "of": "city"}, access="public"),
    tag("birth_date", "date", {"master": "members", "of": "born"}, access="pii"),
    tag("points", "integer", {"master": "members", "of": "points"}),
    tag("rate", "decimal(9,3)", {"master": "members", "of": "rate"}),
    tag("is_vip", "boolean", {"master": "members", "of": "is_vip"}),
)
INTEREST = category(
    "interest",
    tag("top_brand", "text", {"fact": "orders", "agg": "top", "of": "brand", "ties": ["sum(amount) desc"]}),
    tag("brands", "list(text)", {"fact": "orders", "agg": "list", "of": "brand", "k": 5}),
    tag("last_order_at", "timestamp", {"fact": "orders", "agg": "last", "of": "paid_at"}),
    tag("brand_share", "float", {"fact": "orders", "agg": "share", "of": "brand"}, access="sensitive"),
)
SEGMENTS = {
    "segments": [
        {"code": "vips", "title": {"zh": "贵宾", "en": "Vips"}, "rule": "is_vip"},
        {"code": "elders", "title": {"zh": "长者", "en": "Elders"}, "rule": "birth_date < '1960-01-01'"},
        {"code": "loyal", "title": {"zh": "忠诚", "en": "Loyal"}, "rule": "points > 50"},
    ]
}
BANNER = {
    "placement": "banner",
    "title": {"zh": "横幅", "en": "Banner"},
    "variants": [
        {"code": "lancome", "title": {"zh": "兰蔻", "en": "Lancôme"}, "when": "vips and top_brand = '兰蔻'"},
        {"code": "baby", "title": {"zh": "母婴", "en": "Baby"}, "when": "has(brands, '母婴') and not loyal"},
        {"code": "many", "title": {"zh": "积分", "en": "Points"}, "when": "points >= 70 or city = '上海'"},
    ],
    "default": {"code": "daily", "title": {"zh": "每日", "en": "Daily"}},
}
ACCESS = {
    "roles": {"outside": "public", "shop": "internal", "desk": "pii"},
    "default_role": "shop",
    "keys": {
        "shop": {"role": "shop", "env": "SHOP_KEY"},
        "desk": {"role": "desk", "env": "DESK_KEY"},
        "outside": {"role": "outside", "sha256": "a" * 64},
    },
}
FILES: Mapping[str, Any] = {
    "tags/attribute.yaml": ATTRIBUTE,
    "tags/interest.yaml": INTEREST,
    "segments/audiences.yaml": SEGMENTS,
    "placements/banner.yaml": BANNER,
}
PERSONS = [f"P{n:02d}" for n in range(40)]
CITIES, BRANDS = ("上海", "北京", None, 'a"b\\c\n'), ("兰蔻", "母婴", "雅诗兰黛")


def attribute_rows() -> list[dict[str, Any]]:
    return [
        {
            "person_id": person,
            "city": CITIES[n % 4],
            "birth_date": date(1950 + n, 1, 2),
            "points": None if n == 7 else n * 3,
            "rate": Decimal(n) / 1000,
            "is_vip": n % 3 == 0,
        }
        for n, person in enumerate(PERSONS)
    ]


def interest_rows() -> list[dict[str, Any]]:
    return [
        {
            "person_id": person,
            "top_brand": BRANDS[n % 3],
            "brands": None if n % 5 == 0 else list(BRANDS[: 1 + n % 3]),
            "last_order_at": datetime(2024, 3, 1, 8, n),
            "brand_share": n / 7,
        }
        for n, person in enumerate(PERSONS)
    ]


def members(code: str) -> list[dict[str, Any]]:
    """Who is in a segment by the rows above."""
    rules = {
        "vips": lambda row: row["is_vip"],
        "elders": lambda row: row["birth_date"].year < 1960,
        "loyal": lambda row: (row["points"] or 0) > 50,
    }
    return [{"person_id": row["person_id"]} for row in attribute_rows() if rules[code](row)]


@dataclass
class Desk:
    """A catalog, a warehouse with what was published, and a service over it."""

    root: Path
    resolved: Resolved
    published: int = 0
    secrets: Mapping[str, str] = field(default_factory=lambda: SECRETS)

    @classmethod
    def at(cls, root: Path, files: Mapping[str, Any] | None = None) -> "Desk":
        return cls(root, make_catalog(root / "catalog", {**FILES, **(files or {})}))

    @property
    def warehouse(self) -> Warehouse:
        return Warehouse(self.root / "warehouse")

    @property
    def place(self) -> Place:
        spill = self.root / "spill"
        spill.mkdir(exist_ok=True)
        return Place(
            self.resolved,
            self.warehouse,
            spill,
            self.root / "receipts",
            AuditLog(self.warehouse.root, lambda: datetime.now(UTC)),
        )

    def publish(
        self,
        key: str,
        rows: Sequence[Mapping[str, Any]],
        as_of: date | None = AS_OF,
        *,
        held: Sequence[str] = (),
        holdout: bool = False,
    ) -> Snapshot:
        """Publish the rows of a table; the checks of the ``held`` tags failed."""
        table = TableRef.parse(key)
        types = {"person_id": TEXT, **self._columns(table)} | ({"is_holdout": BOOLEAN} if holdout else {})
        types = identity_columns(key) if key in COLUMNS else types
        arrays = {name: pa.array([row.get(name) for row in rows], arrow_type(kind)) for name, kind in types.items()}
        self.published += 1
        with self.warehouse.staging(table) as staged:
            pq.write_table(pa.table(arrays), staged.path / "part-0.parquet")
            return self.warehouse.publish(
                staged,
                as_of=as_of,
                known_at=datetime(2024, 4, 1, tzinfo=UTC) + timedelta(minutes=self.published),
                input_hash=f"in {self.published}",
                catalog_hash="catalog",
                run_id="run",
                data_until=None if as_of is None else datetime.combine(as_of, datetime.min.time()),
                inputs={},
                verdicts=[Verdict(f"{code}.domain", code, "error", False, "tag") for code in held],
                metrics={},
                key=(next(iter(types)),),
            )

    def publish_all(self, as_of: date = AS_OF) -> None:
        self.publish("identity/persons", [{"person_id": person} for person in PERSONS], None)
        self.publish("tags/attribute", attribute_rows(), as_of)
        self.publish("tags/interest", interest_rows(), as_of)
        for code in self.resolved.segments:
            self.publish(f"segments/{code}", members(code), as_of)

    def refuse(self, snapshot: Snapshot, *, same_inputs: bool) -> None:
        """A later attempt for the snapshot's as-of was refused."""
        at = snapshot.known_at + timedelta(hours=1)
        inputs = snapshot.input_hash if same_inputs else "others"
        attempt = Attempt(snapshot.as_of, at, "run", inputs, "refused", reason="points are wrong")
        self.warehouse.record_attempt(snapshot.table, attempt)

    def store(self) -> Derived:
        place = self.place
        return build_store(place.stores, self.resolved, published(self.warehouse, self.resolved), place.spill)

    def service(self) -> Service:
        return Service(self.place, self.store())

    @contextmanager
    def client(self, service: Service | None = None, key: str | None = None) -> Iterator[TestClient]:
        """A client of the service in this process; ``key``: the variable of its secret."""
        is_open = not self.resolved.catalog.access.keys
        app = create_app(
            service or self.service(), read_keys(self.resolved, self.secrets, is_open=is_open), watch=False
        )
        headers = {"Authorization": f"Bearer {self.secrets[key]}"} if key else {}
        with TestClient(app, base_url="http://127.0.0.1", headers=headers) as client:
            yield client

    def _columns(self, table: TableRef) -> dict[str, Any]:
        types = column_types(self.resolved)
        if table.stage == "tags":
            return {item.code: types[item.code] for item in self.resolved.categories[table.name].tags}
        return dict(self.resolved.scores[table.name].columns) if table.stage == "scores" else {}
