"""One piece of work in a process of its own, and what it cost."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Cost:
    """CPU seconds (user and system, of the process and all it waited for), wall seconds, highest memory in MB."""

    cpu: float
    wall: float
    peak_mb: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class WorkFailed(Exception):
    """The process ended with an error; the message is the end of what it said."""


def measured(module: str, arguments: Sequence[str | Path], environment: dict[str, str] | None = None) -> Cost:
    """Run ``python -m module arguments`` and wait for it. Raises WorkFailed."""
    return measured_command([sys.executable, "-m", module, *arguments], environment)


def measured_command(command: Sequence[str | Path], environment: dict[str, str] | None = None) -> Cost:
    # Two threads for whoever asks; compiled modules, so that starting costs the same each time.
    settings = {**os.environ, "POLARS_MAX_THREADS": "2", "OMP_NUM_THREADS": "2", **(environment or {})}
    settings.pop("PYTHONDONTWRITEBYTECODE", None)
    started = time.monotonic()
    process = subprocess.Popen(
        list(map(str, command)), env=settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise WorkFailed(
            f"{' '.join(map(str, command[:4]))}: exit {process.returncode}: {said.decode(errors='replace')[-2000:]}"
        )
    cpu = used.ru_utime + used.ru_stime
    return Cost(round(cpu, 2), round(time.monotonic() - started, 2), used.ru_maxrss // 1024)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    cpu = next((row for row in Path("/proc/cpuinfo").read_text().splitlines() if row.startswith("model name")), "")
    memory = next(row for row in Path("/proc/meminfo").read_text().splitlines() if row.startswith("MemTotal"))
    return {
        "processor": cpu.partition(":")[2].strip(),
        "cores": os.cpu_count(),
        "memory_gb": round(int(memory.split()[1]) / 1024**2, 1),
        "python": sys.version.split()[0],
        "load": [round(load, 1) for load in os.getloadavg()],
    }


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n", encoding="utf-8")
