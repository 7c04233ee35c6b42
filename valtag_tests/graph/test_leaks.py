"""No value of a person gets into Dagster's storage, logs, pages or messages, whatever goes wrong."""

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from valtag_assets.cli import main
from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.graph.jobs import DERIVE, INTAKE
from valtag_tests.graph.marked import PERSON, marked_customers, marked_orders, marks_of, phone
from valtag_tests.graph.shop import Shop

EVERYBODY = re.compile("(" + "|".join(mark for n in range(1, 61) for mark in marks_of(f"C{n:03d}")) + r")(?!\d)")


def told_by(shop: Shop) -> str:
    """Everything Dagster keeps of the runs, and every reason a manifest records."""
    kept = [str(event) for run in shop.instance.get_runs() for event in shop.instance.all_logs(run.run_id)]
    kept += [f"{done.table} {done.reason}" for done in shop.heard]
    kept += [file.read_text(encoding="utf-8") for file in shop.setting.warehouse.root.glob("*/*/manifest.json")]
    return "\n".join(kept)


def names_somebody(text: str) -> list[str]:
    return [text[max(0, found.start() - 80) : found.end() + 20] for found in EVERYBODY.finditer(text)][:3]


def test_nothing_personal_stands_in_the_events_and_records_of_good_runs(marked_once: Path) -> None:
    events = (marked_once / "events.txt").read_text(encoding="utf-8")
    assert "shanghai" in events and names_somebody(events) == []
    # The checks of the field nobody declared have failed: told is where, and how the values look.
    assert "aaaa ###########" in events and "'_file': 'customers.csv', '_row': " in events
    root = marked_once / "data/warehouse/shop"
    # Verdicts, profiles and samples lie in the records of snapshots.
    for file in [*root.rglob("_snapshot.json"), *root.rglob("manifest.json"), root / ".fingerprints.json"]:
        assert names_somebody(file.read_text(encoding="utf-8")) == [], file


def test_outside_the_vault_no_file_has_a_personal_text(marked_once: Path) -> None:
    # Those in a remark, which nobody declared personal, stay where they are.
    texts = [[rf"(?<!call ){phone(f'C{n:03d}')}(?!\?)", f"欧阳无忌{n:03d}"] for n in range(1, 61)]
    personal = re.compile("|".join([*(text for pair in texts for text in pair), "shared[01]@example"]))
    vault, sent = marked_once / "data/warehouse/shop/vault", marked_once / "data/deliveries/shop"
    planted = marked_once / "data/dagster_home"
    held = {True: list[Path](), False: list[Path]()}
    for file in (path for path in (marked_once / "data").rglob("*") if path.is_file()):
        text = file.read_bytes().decode("utf-8", "replace")
        if file.suffix == ".parquet":  # compressed
            text += str(pq.read_table(file, partitioning=None).to_pylist())
        if personal.search(text) and not file.is_relative_to(planted):
            held[file.is_relative_to(vault)].append(file)
    assert held[True] and {file.parent.parent for file in held[False]} == {sent}
    assert vault.stat().st_mode & 0o077 == 0 and all(file.stat().st_mode & 0o077 == 0 for file in held[True])


def test_failures_name_nobody(
    marked: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = marked_customers()
    rows.loc[rows["顾客号"] == "C008", "顾客号"] = "C010"  # two rows of one key
    bad = pd.concat([marked_orders(), pd.DataFrame([{"order_id": "O0071", "customer_id": PERSON}] * 9)])
    marked.write(rows, bad)
    heard = marked.run(job=INTAKE)
    assert names_somebody(told_by(marked)) == []

    def broken(self: DuckDBEngine, *_: Any) -> None:
        self.connection.execute("SELECT CAST($x AS INTEGER)", {"x": " ".join(marks_of(PERSON))})

    def faulty(*_: Any) -> None:
        raise ValueError(f"can't convert {phone(PERSON)!r} of {PERSON!r}")

    for fault in (broken, faulty):
        with monkeypatch.context() as patch:
            patch.setattr(DuckDBEngine, "write", fault)
            marked.full = True
            outcomes = marked.run(job=DERIVE)
            assert "failed" in outcomes.values() or "ValueError" in told_by(marked), (heard, outcomes)
            assert names_somebody(told_by(marked)) == []
            options = ["--catalog", str(marked.root / "catalog"), "--data", str(marked.root / "data")]
            assert main(["segment", "preview", "total_spend > 1", *options]) != 0
    said = capsys.readouterr()
    assert names_somebody(said.out + said.err) == []
    for log in re.findall(r"the trace is in (\S+)", said.err):
        assert names_somebody(Path(log).read_text(encoding="utf-8")) == []
        Path(log).unlink()


def test_who_may_sees_the_rows_that_broke_a_check(marked: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--catalog", str(marked.root / "catalog"), "--data", str(marked.root / "data")]

    def told(table: str, role: str) -> dict[str, list[dict[str, Any]]]:
        assert main(["broken", table, "-n", "3", "--role", role, "--json", *options]) == 0
        # What was refused comes before what is served.
        return {item["check"]: item["rows"] for item in reversed(json.loads(capsys.readouterr().out))}

    customers = marked_customers().set_index("顾客号")["remark"]
    found = told("clean/customers", "keeper")["remark.matches"]
    assert len(found) == 3 and all(row["remark"] == customers[row["customer_id"]] for row in found)
    assert len(told("tags/contact", "keeper")["remark.values"]) == 3
    strict = marked.files["sources/customers.yaml"].replace('"^fine$", severity: warn', '"^fine$", severity: error')
    marked.files = {**marked.files, "sources/customers.yaml": strict}
    marked.write(marked_customers(), marked_orders())
    assert marked.run(job=INTAKE)["clean/customers"] == "refused" and names_somebody(told_by(marked)) == []
    refused = told("clean/customers", "keeper")["remark.matches"]
    assert len(refused) == 3 and all(row["phone"] == phone(row["customer_id"]) for row in refused)
    hidden = told("clean/customers", "analyst")["remark.matches"]
    assert {row["phone"] for row in hidden} == {"***"}
    assert [row["_row"] for row in hidden] == [row["_row"] for row in refused]
    assert main(["broken", "scores/rfm", *options]) == 1
    assert "are told of clean/<source> and tags/<category>" in capsys.readouterr().err


def test_pages_of_the_default_role_name_nobody(marked: Shop) -> None:
    options = ["--catalog", str(marked.root / "catalog"), "--data", str(marked.root / "data")]
    page = marked.root / "page.html"
    assert main(["report", "--into", str(page), *options]) == 0
    assert names_somebody(page.read_text(encoding="utf-8")) == []
