"""The same expressions on Spark, two threads on this machine."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from pyspark import SparkContext

from valtag_assets.engine.spark import open_spark
from valtag_assets.expression.resolve import resolve_catalog
from valtag_tests.bench.company import CATALOG
from valtag_tests.bench.contenders.valtag import write_tags


def build(inputs: Mapping[str, Sequence[Path]], as_of: date, into: Path, spill: Path) -> None:
    with open_spark("local[2]", {}, spill / "spark.log") as engine:
        write_tags(engine, resolve_catalog(CATALOG), inputs, as_of, into)
        gateway = SparkContext._gateway
        engine.session.stop()
    assert gateway is not None
    # The Java machine ends with its standard input; only who waits for it is charged for it.
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait()
