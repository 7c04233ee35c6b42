"""Real servers for a session of tests, on the loopback, gone after it."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest


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
        port = free_port()

        def run(program: str, *arguments: str) -> None:
            command = [*as_user, str(binaries / program), "-D", f"{home}/data", *arguments]
            subprocess.run(command, check=True, capture_output=True, cwd=home, timeout=60)

        run("initdb", "-U", "valtag", "--auth=trust", "-E", "UTF8", "--no-sync")
        run("pg_ctl", "-l", f"{home}/log", "-w", "-o", f"-p {port} -h 127.0.0.1 -k '' -F", "start")
        try:
            yield f"postgresql://valtag@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-m", "immediate", "-w", "stop")


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The URL of a Redis server of our own, on the loopback, gone after the session."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("this machine has no Redis server: install redis-server to run this")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="valtag-redis-") as home:
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", home]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            _wait_for(port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()
            server.wait(10)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(f"nobody answers at port {port}")
