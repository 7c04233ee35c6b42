"""Where the graph works: which catalog, which folder, which clock. It knows nothing of Dagster.

Everything comes from the environment once, when the code location is loaded:

* ``VALTAG_CATALOG``: a catalog folder, or the name of a shipped catalog (default ``complete_journey``);
* ``VALTAG_DATA``: the folder for generated files (default ``data`` under the current folder). Each catalog
  has its own warehouse in it;
* ``VALTAG_ENGINE``: ``duckdb``, ``spark``, or where Spark runs (``spark://host:7077``); it overrides the
  catalog's ``engine``.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from valtag_assets.expression.resolved import Resolved
from valtag_assets.graph.catalog import checked_catalog
from valtag_assets.spec.engines import Engines
from valtag_assets.warehouse.audit import AuditLog, audit_key
from valtag_assets.warehouse.derived import DerivedFiles
from valtag_assets.warehouse.store import WORK, Warehouse
from valtag_assets.warehouse.tokens import Tokens

SHIPPED = Path(__file__).parent.parent / "catalogs"
DEFAULT_CATALOG = "complete_journey"


@dataclass(frozen=True)
class TableDone:
    """What a listener hears when a table is through: published, reused, refused or failed."""

    table: str
    outcome: str
    seconds: float
    rows: int | None = None
    reason: str | None = None
    as_of: date | None = None


def _silent(_: TableDone) -> None:
    """The default listener."""


def wall_clock() -> datetime:
    """The one clock of the product (aware, UTC): it dates what is published and chooses the default as-of."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Setting:
    """One catalog at work in one data folder. ``apart``: its warehouse lies there, and not with the data."""

    resolved: Resolved
    data: Path
    clock: Callable[[], datetime] = wall_clock
    listen: Callable[[TableDone], None] = field(default=_silent, compare=False)
    full: bool = False  # compute everything from clean rows again, changed or not
    confirmed: bool = False  # somebody has seen that an audience really changed so much: send it
    afresh: bool = False  # a destination has lost what it held: send everything again
    engine: Engines | None = None
    apart: Path | None = None

    @property
    def name(self) -> str:
        return self.resolved.catalog.project.name

    @property
    def engines(self) -> Engines:
        """Which engine computes which table."""
        return self.resolved.catalog.project.engine if self.engine is None else self.engine

    @property
    def warehouse(self) -> Warehouse:
        return Warehouse(self.apart or self.data / "warehouse" / self.name)

    @property
    def audit(self) -> AuditLog:
        """The record of who did what with the data of persons."""
        return AuditLog(self.warehouse.root, self.clock, audit_key(os.environ))

    @property
    def tokens(self) -> Tokens:
        """What stands for personal identifiers outside the vault."""
        return Tokens(self.warehouse.root, os.environ)

    @property
    def derived(self) -> DerivedFiles:
        """Tiles and checkpoints."""
        return DerivedFiles(self.warehouse.root)

    @property
    def spill(self) -> Path:
        """A folder for working files, on the warehouse's own disk."""
        folder = self.warehouse.root / WORK
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def fingerprints(self) -> Path:
        """Where digests of source files are remembered."""
        return self.warehouse.root / ".fingerprints.json"

    def today(self) -> date:
        """The present local date in the catalog's time zone."""
        return self.clock().astimezone(self.resolved.catalog.project.zone).date()

    def last_as_of(self) -> date:
        """The last date that is over: the newest as-of anybody may ask for."""
        return self.today() - timedelta(days=1)


def catalog_folder(name_or_path: str) -> Path:
    """The folder of a shipped catalog, or the path as it is. A path wins when it is a folder."""
    path = Path(name_or_path)
    if (path / "project.yaml").is_file() or os.sep in name_or_path:
        return path.resolve()
    shipped = SHIPPED / name_or_path
    return shipped if shipped.is_dir() else path.resolve()


def data_folder(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("VALTAG_DATA", "data")).resolve()


def setting_from(environment: Mapping[str, str]) -> Setting:
    """The setting of a code location. Raises CatalogError with every mistake of the catalog, ValueError for an
    engine that is none."""
    root = catalog_folder(environment.get("VALTAG_CATALOG", DEFAULT_CATALOG))
    engine = environment.get("VALTAG_ENGINE")
    data = data_folder(environment)
    resolved = checked_catalog(root, engine, data / ".catalogs")
    return Setting(resolved, data, engine=resolved.catalog.project.engine.instead(engine))
