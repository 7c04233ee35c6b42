"""The web server: one process, one event loop; it ends on Ctrl-C or a polite kill after the requests in flight."""

import gc
import logging
import signal
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from valtag_assets.engine.faults import impersonal_trace

_GRACE_SECONDS = 10


def run_server(app: ASGIApp, host: str, port: int) -> bool:
    """Serve ``app`` until told to end; whether it came up at all.

    No request is logged, since paths name persons, and faults are logged without values.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="auto",  # uvloop and httptools, where there are any
        http="auto",
        ws="none",
        access_log=False,
        log_level="error",
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    logging.getLogger("uvicorn.error").addFilter(_without_values)
    server = uvicorn.Server(config)
    # When it has ended by itself, uvicorn sends the signal again to whom it belongs: to us, and we are at the end.
    before = {number: signal.signal(number, _nothing) for number in (signal.SIGINT, signal.SIGTERM)}
    # What is here now stays: a collection that looks through all of it would make a request wait.
    gc.collect()
    gc.freeze()
    try:
        server.run()
    except SystemExit:
        return False  # uvicorn has said why
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return server.started


def _without_values(record: logging.LogRecord) -> bool:
    """A log record's exception told without values; every record is written."""
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        record.msg, record.args, record.exc_info = f"{record.getMessage()}\n{impersonal_trace(error)}", (), None
    return True


def _nothing(_: int, __: FrameType | None) -> None:
    """Has been seen to."""
