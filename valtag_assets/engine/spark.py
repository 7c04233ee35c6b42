"""The cluster engine: Spark over Parquet snapshots, in a Java machine of this process or on a cluster by URL.

Only Spark's public session is used, so a classic master (``local[*]``, ``spark://…``) and Spark Connect
(``sc://…``) run the same code. Whatever runs the tasks must see the warehouse under the same path.
"""

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import ibis
import pyarrow as pa
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from valtag_assets.engine.session import EngineError, Inputs, compile_sql

LOOPBACK = "127.0.0.1"
LOG = "spark.log"

# What the cells rest on. Times have no zone; a fault of the data is an error, never a wrong number.
_MEANING = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.ansi.enabled": "true",
    # Digits are never given up in silence: what has no room is an error.
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",
    "spark.sql.icu.caseMappings.enabled": "false",
    "spark.sql.jsonGenerator.ignoreNullFields": "false",
    "spark.sql.parquet.compression.codec": "zstd",
}
# What a user may set otherwise. A driver on loopback serves workers of this machine only.
_USUAL = {
    "spark.app.name": "valtag",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.catalogImplementation": "in-memory",
    "spark.driver.host": LOOPBACK,
    "spark.driver.bindAddress": LOOPBACK,
    "spark.driver.memory": "4g",
    # What fits one machine is spread over its cores, not over the 200 tasks of a cluster.
    "spark.sql.shuffle.partitions": "8",
}
_GLOB = re.compile(r"[\\*?\[\]{}]")


class SparkEngine:
    """Runs Ibis expressions in one Spark session."""

    name = "spark"

    def __init__(self, session: SparkSession) -> None:
        self.session = session
        for name, value in _MEANING.items():
            session.conf.set(name, value)

    def sql(self, expression: ibis.Table) -> str:
        return compile_sql(expression, self.name)

    def write(self, expression: ibis.Table, inputs: Inputs, into: Path) -> None:
        with self._result(expression, inputs) as result:
            _write_one(result, into)

    def fetch(self, expression: ibis.Table, inputs: Inputs) -> pa.Table:
        with self._result(expression, inputs) as result:
            return result.toArrow()

    @contextmanager
    def _result(self, expression: ibis.Table, inputs: Inputs) -> Iterator[DataFrame]:
        """Give each unbound table its files for the time of one statement; EngineError says why it failed."""
        try:
            for name, files in inputs.items():
                self._read(files).createOrReplaceTempView(f"`{name.replace('`', '``')}`")
            yield self.session.sql(self.sql(expression))
        except (PySparkException, Py4JError) as error:
            raise EngineError(f"Spark: {_first_cause(error)}") from error
        finally:
            for name in inputs:
                self.session.catalog.dropTempView(name)

    def _read(self, files: Sequence[Path]) -> DataFrame:
        # Recursive look-up, lest a folder ``as_of=2024-01-31`` become a column.
        reader = self.session.read.option("recursiveFileLookup", "true")
        return reader.parquet(*(_GLOB.sub(r"\\\g<0>", str(file)) for file in files))


def _write_one(result: DataFrame, into: Path) -> None:
    """All rows into one Parquet file, which is there whole or not at all. Spark itself knows only folders."""
    folder = into.with_name(f".{into.name}.parts")
    try:
        # Partitions of a sorted result are put one after the other, so the file is sorted too.
        result.coalesce(1).write.mode("overwrite").parquet(str(folder))
        (part,) = folder.glob("*.parquet")
        os.replace(part, into)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def open_spark(master: str, settings: Mapping[str, str], log: Path) -> Iterator[SparkEngine]:
    """An engine on this process's session with ``master``: a classic master, or Spark Connect by its URL.

    The session is started by the first who asks, which takes seconds, and stays until the process ends. A Java
    machine of our own writes its messages to the file ``log``.
    """
    yield SparkEngine(_session(master, settings, log))


def _session(master: str, settings: Mapping[str, str], log: Path) -> SparkSession:
    builder = SparkSession.builder
    if master.startswith("sc://"):
        builder = builder.remote(master)
        known = settings
    else:
        os.environ.setdefault("SPARK_LOCAL_IP", LOOPBACK)
        builder = builder.master(master)
        known = {**_USUAL, "spark.local.dir": str(log.parent), **settings}
    for name, value in known.items():
        builder = builder.config(name, value)
    try:
        with _errors_into(log):
            return builder.getOrCreate()
    except (PySparkException, Py4JError) as error:
        raise EngineError(f"Spark at {master}: {_first_cause(error)}") from error


@contextmanager
def _errors_into(log: Path) -> Iterator[None]:
    """What is written to standard error goes to ``log``; a process started meanwhile keeps it so for good."""
    log.parent.mkdir(parents=True, exist_ok=True)
    before = os.dup(2)
    try:
        with log.open("ab") as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


def _first_cause(error: Exception) -> str:
    """The first line of what went wrong; a Java trace has the deepest cause last."""
    text = str(error)
    causes = re.findall(r"^(?:Caused by: )(.*)$", text, re.MULTILINE)
    lines = [line.strip() for line in (causes[-1:] or text.splitlines()) if line.strip()]
    return lines[0] if lines else type(error).__name__
