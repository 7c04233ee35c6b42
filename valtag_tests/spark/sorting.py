"""A job of some length on a cluster: ``python -m valtag_tests.spark.sorting MASTER INPUT OUTPUT LOG``."""

import sys
from pathlib import Path

import ibis

from valtag_assets.engine.session import unbound
from valtag_assets.engine.spark import open_spark

_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
SETTINGS = {
    "spark.executor.memory": "512m",
    "spark.driver.memory": "512m",
    "spark.driver.extraJavaOptions": _JAVA,
    "spark.executor.extraJavaOptions": _JAVA,
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.shuffle.partitions": "2",
}


def sorted_digests() -> ibis.Table:
    """Each number with a digest that takes its time, sorted by it."""
    rows = unbound("numbers", {"n": "int64"})
    digest = rows.n.cast("string")
    for _ in range(20):
        digest = digest.hexdigest("sha256")
    return rows.select(rows.n, digest=digest).order_by("digest")


if __name__ == "__main__":
    master, *paths = sys.argv[1:]
    files, into, log = (Path(path) for path in paths)
    with open_spark(master, SETTINGS, log) as engine:
        engine.write(sorted_digests(), {"numbers": sorted(files.glob("*.parquet"))}, into)
