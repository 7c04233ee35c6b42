"""What one more day costs, after histories of different length with the same number of rows a day."""

import json
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from valtag_tests.bench import graph_run
from valtag_tests.bench.company import CATALOG, UNTIL, Company
from valtag_tests.bench.process import measured

HISTORIES = (90, 365, 1095)


def added_day(folder: Path, persons: int) -> list[dict[str, Any]]:
    """For each history: everything from nothing, one more day, and that day from nothing again, by stage.

    A day has as many order lines and events as a fifth of the persons.
    """
    found = []
    for days in HISTORIES:
        company = Company(folder / str(days), persons, days, persons // 10 * 2, persons // 5)
        shutil.rmtree(company.data / "warehouse", ignore_errors=True)
        shutil.rmtree(company.data / "dagster_home", ignore_errors=True)
        # The day after is made last, so that a second bench finds the same files.
        next_day = UNTIL + timedelta(days=1)
        for table in ("orders", "events"):
            (company.tables / table / f"{next_day}.parquet").unlink(missing_ok=True)
        company.generate()
        everything = run_stages(company, UNTIL.isoformat())
        company.add_day(next_day)
        more = run_stages(company, next_day.isoformat())
        anew = replace(company, data=folder / f"{days}-anew")
        shutil.rmtree(anew.data, ignore_errors=True)
        anew.tables.parent.mkdir(parents=True)
        anew.tables.symlink_to(company.tables)
        found.append(
            {
                "days": days,
                "persons": persons,
                "rows a day": company.lines_a_day + company.events_a_day,
                "everything": everything,
                "one more day": more,
                "that day from nothing": run_stages(anew, next_day.isoformat()),
            }
        )
        shutil.rmtree(anew.data)
    return found


def run_stages(company: Company, as_of: str) -> dict[str, Any]:
    """One run of the whole graph: CPU seconds by stage, without the start of the process."""
    report = company.data / "run.json"
    cost = measured(graph_run.__name__, [CATALOG, company.data, as_of, report])
    found = json.loads(report.read_text())
    bad = [row for row in found["tables"] if row["outcome"] not in ("published", "reused")]
    if bad or found["faults"]:
        raise AssertionError(f"{company.data}: {bad} {found['faults']}")
    stages: dict[str, float] = {}
    for row in found["tables"]:
        stage = row["table"].partition("/")[0]
        stages[stage] = round(stages.get(stage, 0) + row["cpu"], 2)
    return {**cost.to_json(), "start": found["start"], "stages": {**stages, "end": found["end"]}}
