"""A real standalone cluster on this machine: one master and two workers, started from the pip package."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pyspark

from valtag_assets.engine.spark import LOOPBACK

HOME = Path(pyspark.__file__).parent
PATIENCE = 90


@dataclass(frozen=True)
class Cluster:
    """``url`` is where drivers connect; the logs of a worker's tasks lie under ``works``."""

    url: str
    workers: list[subprocess.Popen[bytes]]
    works: list[Path]

    def lose(self, number: int) -> None:
        """A worker's machine is gone, with all that ran on it."""
        os.killpg(self.workers[number].pid, signal.SIGKILL)

    def jobs(self, number: int) -> set[Path]:
        """The folders of the jobs a worker has had."""
        return set(self.works[number].glob("app-*"))

    def runs_tasks(self, number: int, but: set[Path]) -> re.Match[str] | None:
        """Whether a task of another job than ``but`` has begun on a worker, after the look at the files."""
        logs = [log for job in self.jobs(number) - but for log in job.glob("*/stderr")]
        return re.search(r"Running task \d+\.\d+ in stage [1-9]", "".join(log.read_text() for log in logs))


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Every process listens on loopback, on a port the system chooses, and is ended afterwards."""
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, *arguments: str) -> Path:
        log = folder / f"{name}.log"
        environment = os.environ | {
            "SPARK_LOCAL_IP": LOOPBACK,
            "SPARK_HOME": str(HOME),
            "SPARK_DAEMON_MEMORY": "256m",
            "SPARK_DAEMON_JAVA_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
            "PYSPARK_PYTHON": sys.executable,
        }
        with log.open("wb") as out:
            command = [str(HOME / "bin/spark-class"), *arguments]
            started.append(
                subprocess.Popen(command, env=environment, stdout=out, stderr=out, cwd=folder, start_new_session=True)
            )
        return log

    try:
        kind = "org.apache.spark.deploy"
        at = ("--host", LOOPBACK, "--port", "0", "--webui-port", "0")
        log = start("master", f"{kind}.master.Master", *at)
        url = written(log, r"Starting Spark master at (spark://\S+)")[1]
        works = [folder / "work1", folder / "work2"]
        for work in works:
            place = ("--cores", "1", "--memory", "1g", "--work-dir", str(work))
            log = start(f"{work.name}-worker", f"{kind}.worker.Worker", *at, *place, url)
            written(log, "Successfully registered with master")
        yield Cluster(url, started[1:], works)
    finally:
        for process in reversed(started):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def written(log: Path, pattern: str) -> re.Match[str]:
    """The first match of ``pattern`` in a log, once it is there."""
    return waited(lambda: re.search(pattern, log.read_text()), log)


def waited(look: Callable[[], re.Match[str] | None], log: Path) -> re.Match[str]:
    """What ``look`` finds as soon as it finds something."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.1)
    raise TimeoutError(f"nothing within {PATIENCE} s:\n{log.read_text()}")
