"""How the cost of valtag's full build grows with persons, with rows and with tags; and of catalogs, with tags."""

import sys
import tempfile
from pathlib import Path
from typing import Any

from valtag_tests.bench.company import Company
from valtag_tests.bench.many_tags import write_catalog
from valtag_tests.bench.process import measured_command
from valtag_tests.bench.tag_build import clean_tables, run_contender

TAGS = (20, 100, 500)
DEFINITIONS = (20, 100, 500, 2_000, 10_000)


def growth(folder: Path, persons: int) -> list[dict[str, Any]]:
    """The full build at a quarter, a half and all of ``persons``; with half and twice the rows; with more tags."""
    found = []
    for share in (4, 2, 1):
        found.append(_built(Company.of(folder / f"{persons // share}x10", persons // share)))
    for each in (5, 20):
        found.append(_built(Company.of(folder / f"{persons}x{each}", persons, each=each)))
    company = Company.of(folder / f"{persons}x10", persons)
    for tags in TAGS:
        found.append(_built(company, tags))
    return found


def _built(company: Company, tags: int | None = None) -> dict[str, Any]:
    clean_tables(company)
    with tempfile.TemporaryDirectory(dir=company.data, prefix="growth-") as text:
        catalog = None if tags is None else {"VALTAG_CATALOG": str(write_catalog(Path(text) / "catalog", tags))}
        cost = run_contender("valtag", company, "clean", Path(text) / "tags", catalog)
    return {
        "persons": company.persons,
        "rows": company.days * (company.lines_a_day + company.events_a_day),
        "tags": tags or 31,
        **cost.to_json(),
    }


def catalogs() -> list[dict[str, Any]]:
    """``valtag check`` of catalogs of more and more tags, each in a process of its own."""
    found = []
    with tempfile.TemporaryDirectory() as text:
        for tags in DEFINITIONS:
            folder = write_catalog(Path(text) / str(tags), tags)
            valtag = Path(sys.executable).with_name("valtag")
            found.append({"tags": tags, **measured_command([valtag, "check", "--catalog", folder]).to_json()})
    return found
