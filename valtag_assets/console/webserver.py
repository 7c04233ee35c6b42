"""``valtag ui``: Dagster's web server and daemon as children that end when the command does."""

import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from importlib import resources
from types import FrameType

from valtag_assets.spec.mistake import Mistake

HOST = "127.0.0.1"
_GRACE = 15.0
# Ctrl-C, a polite kill, a closed terminal.
_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def serve(port: int, environment: Mapping[str, str], *, read_only: bool = False) -> int:
    """Run ``dagster dev`` until it ends or we are told to; its exit code. Raises Mistake for a taken port.

    ``read_only``: the web server alone, for people who look: it starts, stops and deletes nothing.
    """
    refuse_taken(port)
    workspace = resources.files("valtag_assets.graph") / "workspace.yaml"
    server = ["dagster_webserver", "--read-only"] if read_only else ["dagster", "dev"]
    command = [sys.executable, "-m", *server, "-w", str(workspace), "-h", HOST, "-p", str(port)]
    # A session of its own: the web server, the daemon and the code server are ended together, by us alone.
    child = subprocess.Popen(command, env=dict(environment), start_new_session=True)
    before = {number: signal.signal(number, _stop) for number in _ENDINGS}
    try:
        return child.wait()
    except _Stopped:
        return 0
    finally:
        # A second Ctrl-C must not leave children behind.
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        _end(child)
        for number, handler in before.items():
            signal.signal(number, handler)


class _Stopped(BaseException):
    """We were told to end."""


def _stop(number: int, frame: FrameType | None) -> None:
    raise _Stopped


def _end(child: "subprocess.Popen[bytes]") -> None:
    """Ask the whole group to end as Ctrl-C does, then make it."""
    for number in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            return
        try:
            child.wait(timeout=_GRACE)
        except subprocess.TimeoutExpired:
            continue


def refuse_taken(port: int, host: str = HOST) -> None:
    """Raises Mistake for a port or host that can't be listened on."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the server will: a port that only waits for its last connections to die is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            message = f"port {port} is taken ({error.strerror}): end what uses it, or choose another with --port"
            if error.errno != errno.EADDRINUSE:
                message = f"can't listen on {host}, port {port}: {error.strerror}"
            raise Mistake(message) from error
