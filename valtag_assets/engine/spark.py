"""The cluster engine: Spark over Parquet snapshots, in a Java machine of this process or on a cluster by URL.

Only Spark's public session is used, so a classic master (``local[*]``, ``spark://…``) and Spark Connect
(``sc://…``) run the same code. Whatever runs the tasks must see the warehouse under the same path.
"""

import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import ibis
import pyarrow as pa
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import monotonically_increasing_id

from valtag_assets.engine.session import EngineError, Inputs, compile_sql, part_name

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
_CONFIGURED = "SPARK_CONF_DIR"
# What Spark itself tells of a fault quotes the values it stumbled over.
_LOGGING = """rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.alwaysWriteExceptions = false
appender.stderr.layout.pattern = %d %p %c{1}: %replace{%m%n%ex}{'[^']*'|"[^"]*"|[0-9][0-9.,]{3,}[0-9]}{...}
"""
_PLACE = "_place"
_GLOB = re.compile(r"[\\*?\[\]{}]")


class SparkEngine:
    """Runs Ibis expressions in one Spark session."""

    name = "spark"

    def __init__(self, session: SparkSession) -> None:
        self.session = session
        self._known: dict[tuple[tuple[str, int, int], ...], DataFrame] = {}
        for name, value in _MEANING.items():
            session.conf.set(name, value)

    def sql(self, expression: ibis.Table) -> str:
        return compile_sql(expression, self.name)

    def write(self, expression: ibis.Table, inputs: Inputs, into: Path, *, passing: bool = False) -> None:
        with self._result(expression, inputs) as result:
            _write_one(result, into, {"compression": "uncompressed"} if passing else {})

    def write_parts(self, expression: ibis.Table, inputs: Inputs, into: Path, bucket: str) -> list[Path]:
        with self._result(expression, inputs) as result, _folder(into / ".parts") as space:
            # Each bucket goes to one task, and with every row its place in the whole: tasks keep no order.
            placed = result.withColumn(_PLACE, monotonically_increasing_id())
            apart = placed.repartition(bucket).sortWithinPartitions(bucket, _PLACE).drop(_PLACE)
            apart.write.mode("overwrite").partitionBy(bucket).parquet(str(space))
            written = {part_name(_value(part.parent.name)): part for part in space.glob("*/*.parquet")}
            for name, part in written.items():
                os.replace(part, into / name)
        return sorted(into / name for name in written)

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
        """The rows of ``files``; Spark looks into them once, as long as they stay what they are."""
        seen = tuple((str(file), (found := file.stat()).st_mtime_ns, found.st_size) for file in files)
        if seen not in self._known:
            # Recursive look-up, lest a folder ``as_of=2024-01-31`` become a column.
            reader = self.session.read.option("recursiveFileLookup", "true")
            self._known[seen] = reader.parquet(*(_GLOB.sub(r"\\\g<0>", str(file)) for file in files))
        return self._known[seen]


def _write_one(result: DataFrame, into: Path, options: Mapping[str, str]) -> None:
    """All rows into one Parquet file, which is there whole or not at all. Spark itself knows only folders."""
    with _folder(into.with_name(f".{into.name}.parts")) as space:
        # Partitions of a sorted result are put one after the other, so the file is sorted too.
        result.coalesce(1).write.mode("overwrite").options(**options).parquet(str(space))
        (part,) = space.glob("*.parquet")
        os.replace(part, into)


@contextmanager
def _folder(path: Path) -> Iterator[Path]:
    """A folder Spark may fill; it is gone afterwards, with the notes Spark leaves beside its files."""
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _value(folder: str) -> str | None:
    """The value a folder ``bucket=value`` stands for."""
    written = folder.partition("=")[2]
    return None if written == "__HIVE_DEFAULT_PARTITION__" else unquote(written)


@contextmanager
def open_spark(master: str, settings: Mapping[str, str], log: Path) -> Iterator[SparkEngine]:
    """An engine on this process's session with ``master``: a classic master, or Spark Connect by its URL.

    The session is started by the first who asks, which takes seconds, and stays until the process ends. A Java
    machine of our own writes its messages to the file ``log``, without what is quoted in them and without long
    numbers, unless SPARK_CONF_DIR says how Spark is to log. Logs of a cluster's own machines are the cluster's.
    """
    yield SparkEngine(_session(master, settings, log))


def _session(master: str, settings: Mapping[str, str], log: Path) -> SparkSession:
    builder = SparkSession.builder
    if master.startswith("sc://"):
        builder = builder.remote(master)
        known = settings
    else:
        os.environ.setdefault("SPARK_LOCAL_IP", LOOPBACK)
        if _CONFIGURED not in os.environ:
            os.environ[_CONFIGURED] = str(_configuration(log.parent / "spark-conf"))
        builder = builder.master(master)
        # Nothing is kept in Spark's own warehouse, but it makes the folder, by itself where we happen to stand.
        places = {"spark.local.dir": str(log.parent), "spark.sql.warehouse.dir": str(log.parent / "spark-warehouse")}
        known = {**_USUAL, **places, **settings}
    for name, value in known.items():
        builder = builder.config(name, value)
    # PySpark logs what it raises as well, with the whole plan.
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)
    try:
        with _errors_into(log):
            session = builder.getOrCreate()
    except (PySparkException, Py4JError) as error:
        raise EngineError(f"Spark at {master}: {_first_cause(error)}") from error
    at = session.conf.get("spark.master")
    if not master.startswith("sc://") and at != master:
        raise EngineError(f"this process works with Spark at {at} already; Spark at {master} needs one of its own")
    return session


def _configuration(folder: Path) -> Path:
    """A folder of Spark's configuration that says how to log."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "log4j2.properties").write_text(_LOGGING, encoding="ascii")
    return folder


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
