"""Many small readings in few entries of the audit log, for a service that answers thousands of times a second."""

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from valtag_assets.warehouse.audit import AuditLog


@dataclass(frozen=True)
class Reading:
    """What is counted together: the same actor reads the same kind of thing for the same purpose."""

    action: str
    actor: str
    what: str
    role: str | None = None
    purpose: str | None = None
    tags: tuple[str, ...] = ()


@dataclass
class _Open:
    since: datetime
    requests: int = 0
    rows: int = 0


@dataclass
class AuditTally:
    """Readings counted for ``window``; the first of each kind is on disk before it is answered.

    So who reads what is always known; of a service that is killed, the counts of its last window are lost.
    """

    log: AuditLog
    window: timedelta = timedelta(seconds=10)
    _open: dict[Reading, _Open] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, reading: Reading, rows: int) -> None:
        """Count one request that gives ``rows``. AuditError if it can't be recorded: then don't answer it."""
        if self.join(reading, rows):
            return
        now = self.log.clock()
        with self._lock:
            ended = self._open.pop(reading, None)
        self._write(reading, ended)
        self._write(reading, _Open(now, 1, rows))
        with self._lock:
            self._open.setdefault(reading, _Open(now))

    def join(self, reading: Reading, rows: int) -> bool:
        """Count one request with those of its kind, which never waits; False where it is the first: ``count`` it."""
        with self._lock:
            begun = self._open.get(reading)
            if begun is None or self.log.clock() - begun.since >= self.window:
                return False
            begun.requests += 1
            begun.rows += rows
            return True

    def flush(self) -> None:
        """Write what was counted: now and then, and at the end of a service. AuditError if it can't be; it stays."""
        with self._lock:
            ended, self._open = self._open, {}
        try:
            while ended:
                self._write(*next(iter(ended.items())))
                ended.pop(next(iter(ended)))
        finally:
            with self._lock:
                for reading, counted in ended.items():
                    begun = self._open.setdefault(reading, _Open(counted.since))
                    begun.requests += counted.requests
                    begun.rows += counted.rows

    def _write(self, reading: Reading, counted: _Open | None) -> None:
        if counted is not None and counted.requests:
            self.log.record(
                reading.action,
                actor=reading.actor,
                role=reading.role,
                purpose=reading.purpose,
                what=reading.what,
                tags=reading.tags,
                rows=counted.rows,
                details={"requests": counted.requests, "since": counted.since.isoformat()},
            )
