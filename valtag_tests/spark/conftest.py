"""One Spark session for all tests of this folder, and a DuckDB beside it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from valtag_assets.engine.duckdb import DuckDBEngine, open_duckdb
from valtag_assets.engine.spark import SparkEngine, open_spark

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.spark)
            item.add_marker(pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java"))


@pytest.fixture(scope="session")
def spark_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Spark writes what it has to say."""
    return tmp_path_factory.mktemp("spark") / "spark.log"


@pytest.fixture(scope="session")
def spark(spark_log: Path) -> Iterator[SparkEngine]:
    settings = {
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.driver.memory": "2g",
        # A few rows are worth no machine code.
        "spark.sql.codegen.wholeStage": "false",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    }
    with open_spark("local[2]", settings, spark_log) as engine:
        yield engine


@pytest.fixture(scope="session")
def duck() -> Iterator[DuckDBEngine]:
    with open_duckdb() as engine:
        yield engine
