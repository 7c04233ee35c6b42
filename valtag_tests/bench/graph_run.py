"""One `valtag run` in this process, with its CPU seconds by table and by part of the machinery.

    python -m valtag_tests.bench.graph_run CATALOG DATA AS_OF REPORT [TABLE ...]

The parts are timed where they are called, each without what it calls in turn; what is in none of them is
Dagster's and the rest.
"""

import importlib
import json
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

# Part → the names it is called by.
PARTS = {
    "compute and write": ("engine.duckdb:DuckDBEngine.write", "engine.duckdb:DuckDBEngine.write_parts"),
    "profile": ("graph.publishing:profile",),
    "audit": ("graph.publishing:audit",),
    "import Great Expectations": ("quality.audit:import_gx",),
    "content hash": ("warehouse.staging:read_contents",),
    "force to disk": ("warehouse.durable:flush",),
    "plots and metadata": ("graph.publishing:materialization_metadata",),
}


def main() -> None:
    catalog, data, as_of, report, *tables = sys.argv[1:]
    ran = run(Path(catalog), Path(data), date.fromisoformat(as_of), tables)
    Path(report).write_text(json.dumps(ran, indent=2, ensure_ascii=False), encoding="utf-8")


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Meter:
    """CPU seconds by part, each second in one part only."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._running: list[str] = []
        self._last = cpu_seconds()

    def _settle(self) -> None:
        now = cpu_seconds()
        self.spent[self._running[-1] if self._running else "Dagster and the rest"] += now - self._last
        self._last = now

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*arguments: Any, **named: Any) -> Any:
            self._settle()
            self._running.append(part)
            try:
                return function(*arguments, **named)
            finally:
                self._settle()
                self._running.pop()

        return measured

    def taken(self) -> dict[str, float]:
        """What was spent since the last time this was asked."""
        self._settle()
        found = {part: round(seconds, 3) for part, seconds in self.spent.items()}
        self.spent.clear()
        return found


def run(catalog: Path, data: Path, as_of: date, tables: list[str]) -> dict[str, Any]:
    from valtag_assets.console.running import Progress
    from valtag_assets.console.running import run as run_graph
    from valtag_assets.graph.catalog import checked_catalog
    from valtag_assets.graph.home import dagster_home
    from valtag_assets.graph.setting import Setting

    meter, heard, started = Meter(), list[dict[str, Any]](), time.monotonic()
    for part, names in PARTS.items():
        for name in names:
            _wrap(meter, part, name)
    setting = Setting(checked_catalog(catalog), data)
    dagster_home(setting)
    start = cpu_seconds()
    meter.taken()

    def done(table: Any) -> None:
        parts = meter.taken()
        heard.append(
            {
                "table": table.table,
                "outcome": table.outcome,
                "rows": table.rows,
                "reason": table.reason,
                "cpu": round(sum(parts.values()), 2),
                "parts": parts,
            }
        )

    (ran,) = run_graph(setting, [as_of], tables, Progress(lambda _: None, done))
    rest = meter.taken()
    return {
        "as_of": as_of.isoformat(),
        "cpu": round(cpu_seconds(), 2),
        "start": round(start, 2),
        "end": round(sum(rest.values()), 2),
        "wall": round(time.monotonic() - started, 2),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "faults": dict(ran.faults),
        "tables": heard,
    }


def _wrap(meter: Meter, part: str, name: str) -> None:
    module, _, path = name.partition(":")
    place: Any = importlib.import_module(f"valtag_assets.{module}")
    *owners, last = path.split(".")
    for owner in owners:
        place = getattr(place, owner)
    setattr(place, last, meter.timed(part, getattr(place, last)))


if __name__ == "__main__":
    main()
