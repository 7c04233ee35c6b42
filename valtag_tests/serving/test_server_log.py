"""What the web server itself writes names nobody."""

import gc
import os
import signal
import socket
import threading
import time

import pytest
from starlette.types import Receive, Scope, Send

from valtag_assets.serving.server import run_server

PHONE = "13877770070"


async def faulty(scope: Scope, receive: Receive, _: Send) -> None:
    """An application whose fault quotes what it was asked for."""
    if scope["type"] == "http":
        raise ValueError(f"nobody is called {PHONE!r}") from KeyError(scope["path"])
    await receive()


def ask_and_end(port: int) -> None:
    """One request that fails, one that is none, and the polite kill."""
    for sent in (f"GET /persons/{PHONE}?a={PHONE} HTTP/1.1\r\nHost: x\r\n\r\n", f"{PHONE}\r\n\r\n"):
        for _ in range(200):
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                    connection.sendall(sent.encode())
                    connection.recv(100)
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGTERM)


def test_requests_are_not_logged_and_faults_without_values(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    asking = threading.Thread(target=ask_and_end, args=(port,))
    asking.start()
    try:
        run_server(faulty, "127.0.0.1", port)
    finally:
        asking.join()
        gc.unfreeze()
    said = "".join(capfd.readouterr())
    assert "Exception in ASGI application" in said and "ValueError" in said and "KeyError" in said
    assert PHONE not in said and "persons" not in said
