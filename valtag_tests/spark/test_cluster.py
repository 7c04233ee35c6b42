"""A standalone master with two workers, in processes of their own: mixed engines, and a worker lost mid-job."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from valtag_assets.console.starter import init_catalog
from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.spec.types import INTEGER
from valtag_tests import kit
from valtag_tests.spark.cells import assert_equal
from valtag_tests.spark.cluster import Cluster, cluster, waited
from valtag_tests.spark.sorting import SETTINGS, sorted_digests

ENGINE = """
engine:
  default: duckdb
  tables: {{clean/orders: spark, "tags/*": spark}}
  master: {master}
  settings: {settings}
"""


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


def valtag(*arguments: str, **environment: str) -> str:
    command = [str(Path(sys.executable).with_name("valtag")), *arguments]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.long
def test_tables_of_one_catalog_are_computed_here_and_on_the_cluster(tmp_path: Path, two_workers: Cluster) -> None:
    root = init_catalog("mixed", tmp_path)
    only = ("--catalog", str(root), "--select", "+tags/transaction", "--data")
    valtag("run", *only, str(tmp_path / "alone"))
    project = root / "project.yaml"
    engine = ENGINE.format(master=two_workers.url, settings=json.dumps(SETTINGS))
    project.write_text(project.read_text(encoding="utf-8") + engine, encoding="utf-8")
    valtag("run", *only, str(tmp_path / "mixed"))
    alone, mixed = (published(tmp_path / name / "warehouse" / "mixed") for name in ("alone", "mixed"))
    assert alone == mixed
    assert {"clean/customers", "clean/orders", "tags/transaction"} <= set(alone)
    assert two_workers.jobs(0)


def published(warehouse: Path) -> dict[str, str]:
    """The content hash of each table."""
    found = {}
    for manifest in warehouse.glob("*/*/manifest.json"):
        (snapshot,) = json.loads(manifest.read_text(encoding="utf-8"))["snapshots"]
        found[f"{manifest.parent.parent.name}/{manifest.parent.name}"] = snapshot["content_hash"]
    return found


@pytest.mark.long
def test_a_job_that_loses_a_worker_ends_with_the_same_rows(
    tmp_path: Path, duck: DuckDBEngine, two_workers: Cluster
) -> None:
    numbers = tmp_path / "numbers"
    for part in range(8):
        rows = [{"n": part * 30_000 + n} for n in range(30_000)]
        kit.write_rows(numbers / f"part-{part}.parquet", {"n": INTEGER}, rows)
    out, log = tmp_path / "out.parquet", tmp_path / "spark.log"
    job = [sys.executable, "-m", "valtag_tests.spark.sorting", two_workers.url, *map(str, (numbers, out, log))]
    before = two_workers.jobs(0)
    running = subprocess.Popen(job, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        waited(lambda: two_workers.runs_tasks(0, before), log)
        two_workers.lose(0)
        said, _ = running.communicate(timeout=300)
    finally:
        running.kill()
    assert running.returncode == 0, said + log.read_text()
    assert "Lost executor" in log.read_text()
    duck.write(sorted_digests(), {"numbers": sorted(numbers.glob("*.parquet"))}, tmp_path / "duckdb.parquet")
    assert_equal(tmp_path / "duckdb.parquet", out)
