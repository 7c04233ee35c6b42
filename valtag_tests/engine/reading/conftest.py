"""Files to read, an in-memory DuckDB, and one real PostgreSQL for the session."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import duckdb
import pytest

from valtag_assets.engine.reading.origin import Origin
from valtag_assets.engine.reading.read import read_source
from valtag_assets.engine.reading.tables import RawTable

Rows = list[tuple]


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    yield connection
    connection.close()


class Reading:
    """Reads origins into fresh folders and shows the results as Python rows."""

    def __init__(self, con: duckdb.DuckDBPyConnection, folder: Path):
        self.con, self.folder, self.count = con, folder, 0

    def __call__(self, origin: Origin, columns: Sequence[str]) -> RawTable:
        self.count += 1
        return read_source(self.con, origin, columns, self.folder / f"into{self.count}")

    def rows(self, table: RawTable) -> Rows:
        """The wanted columns, _file and _row, by file and row."""
        query = "select * from read_parquet($files) order by _file, _row"
        return self.con.execute(query, {"files": table.files}).fetchall()

    def broken(self, table: RawTable) -> Rows:
        if table.broken is None:
            return []
        query = "select row, line, text, reason from read_parquet($file) order by file, row"
        return self.con.execute(query, {"file": str(table.broken)}).fetchall()


@pytest.fixture
def reading(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> Reading:
    return Reading(con, tmp_path / "reading")


@pytest.fixture
def csv_file(tmp_path: Path) -> Callable[..., Origin]:
    """Write bytes to a file and name it as a CSV origin."""

    def write(content: bytes, name: str = "t.csv", **settings: object) -> Origin:
        path = tmp_path / name
        path.write_bytes(content)
        return Origin("csv", (path,), **settings)  # type: ignore[arg-type]

    return write


def _binaries() -> Path | None:
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "pg_ctl").exists()), None)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a PostgreSQL server of our own, on the loopback, gone after the session."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("this machine has no PostgreSQL server (initdb, pg_ctl): install postgresql to run this")
    # Not in pytest's folders: those are closed to the user the server runs as.
    with tempfile.TemporaryDirectory(prefix="valtag-postgres-") as home:
        as_user: list[str] = []
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            as_user = ["runuser", "-u", "postgres", "--"]
            shutil.chown(home, "postgres")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]

        def run(program: str, *arguments: str) -> None:
            command = [*as_user, str(binaries / program), "-D", f"{home}/data", *arguments]
            subprocess.run(command, check=True, capture_output=True, cwd=home, timeout=60)

        run("initdb", "-U", "valtag", "--auth=trust", "-E", "UTF8", "--no-sync")
        run("pg_ctl", "-l", f"{home}/log", "-w", "-o", f"-p {port} -h 127.0.0.1 -k '' -F", "start")
        try:
            yield f"postgresql://valtag@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-m", "immediate", "-w", "stop")
