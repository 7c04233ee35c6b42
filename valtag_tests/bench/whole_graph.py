"""A whole run with gates and publishing, from the company's files: CPU seconds by table and by part."""

import json
import shutil
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

from valtag_tests.bench import graph_run
from valtag_tests.bench.company import CATALOG, UNTIL, Company
from valtag_tests.bench.process import measured

COMPUTE = "compute and write"


def whole_graph(company: Company) -> dict[str, Any]:
    company.generate()
    # A warehouse of its own beside the same landing folder, so that nothing is there already.
    data = company.data / "graph"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir()
    (data / "landing").symlink_to(company.data / "landing")
    found = run(CATALOG, data, UNTIL)
    shutil.rmtree(data)
    return found


def run(catalog: Path, data: Path, as_of: date) -> dict[str, Any]:
    report = data / "run.json"
    cost = measured(graph_run.__name__, [catalog, data, as_of.isoformat(), report])
    ran = json.loads(report.read_text())
    parts = {"clean": Counter[str](), "derived": Counter[str]()}
    for row in ran["tables"]:
        parts["clean" if row["table"].startswith("clean/") else "derived"].update(row["parts"])
    derived = sum(parts["derived"].values())
    return {
        **cost.to_json(),
        "start": ran["start"],
        "end": ran["end"],
        "tables": ran["tables"],
        "parts": {name: {part: round(cpu, 2) for part, cpu in found.items()} for name, found in parts.items()},
        "share that is not computing tags": round(1 - parts["derived"][COMPUTE] / max(derived, 0.01), 3),
    }
