"""valtag serve: what it refuses to start with, and a service in a process of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from valtag_tests.cli.conftest import Shop, Valtag

KEYS = """
roles: {analyst: internal, steward: pii}
default_role: analyst
keys: {app: {role: analyst, env: VALTAG_KEY_APP}}
"""
NO_REQUESTS = (
    b"GET /persons/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /persons/a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
    b"POST /persons HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x00\x01 no request at all\r\n\r\n",
)
SECRET = "a-secret-of-the-app-0123"


def test_without_keys_it_serves_nobody_unless_it_is_told_to(valtag: Valtag, served: Shop) -> None:
    said = valtag("serve", *served.options)
    assert said.code == 1
    assert "names no keys" in said.err and "--open" in said.err


def test_an_open_service_stays_on_this_machine(valtag: Valtag, served: Shop) -> None:
    said = valtag("serve", *served.options, "--open", "--host", "0.0.0.0")
    assert said.code == 1 and "on this machine only" in said.err


def test_a_taken_port_is_refused(valtag: Valtag, served: Shop) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said = valtag("serve", *served.options, "--open", "--port", taken.getsockname()[1])
    assert said.code == 1 and "is taken" in said.err


def test_an_address_of_another_machine_is_refused(valtag: Valtag, ran: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    (ran.catalog / "access.yaml").write_text(KEYS, encoding="utf-8")
    monkeypatch.setenv("VALTAG_KEY_APP", SECRET)
    said = valtag("serve", *ran.options, "--host", "192.0.2.1")
    assert said.code == 1 and "can't listen on 192.0.2.1, port 8000" in said.err


def test_nothing_published_is_said(valtag: Valtag, shop: Shop) -> None:
    said = valtag("serve", *shop.options, "--build")
    assert said.code == 1 and "no tags are published yet: valtag run makes them" in said.err


def test_the_store_is_made_once(valtag: Valtag, ran: Shop) -> None:
    first, again = valtag("serve", *ran.options, "--build"), valtag("serve", *ran.options, "--build")
    assert (first.code, again.code) == (0, 0)
    assert "persons" in first.err and again.err == ""


def test_a_service_answers_until_it_is_told_to_end(ran: Shop) -> None:
    (ran.catalog / "access.yaml").write_text(KEYS, encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", "import sys; from valtag_assets.cli import main; sys.exit(main())", "serve"]
    log = ran.data.parent / "serve.log"
    with log.open("w") as out:
        child = subprocess.Popen(
            [*command, *map(str, ran.options), "--port", str(port)],
            stdout=out,
            stderr=out,
            env={**os.environ, "VALTAG_KEY_APP": SECRET},
        )
    try:
        address = f"http://127.0.0.1:{port}"
        assert _ready(address, child)["ready"] is True
        with_key = urllib.request.Request(f"{address}/tags", headers={"Authorization": f"Bearer {SECRET}"})
        assert len(json.loads(urllib.request.urlopen(with_key).read())["tags"]) >= 13
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{address}/tags")
        for raw in NO_REQUESTS:
            assert _raw(port, raw).startswith((b"HTTP/1.1 400", b"HTTP/1.1 401"))
        assert _ready(address, child)["ready"] is True
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=20) == 0
    finally:
        child.kill()
        child.wait()
    said = log.read_text(encoding="utf-8")
    assert "keys app (analyst)" in said and SECRET not in said


def _ready(address: str, child: "subprocess.Popen[bytes]") -> dict[str, object]:
    for _ in range(200):
        assert child.poll() is None
        try:
            return dict(json.loads(urllib.request.urlopen(f"{address}/health", timeout=2).read()))
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{address} does not answer")


def _raw(port: int, sent: bytes) -> bytes:
    """The beginning of what is answered to bytes that may be no HTTP."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(sent)
        return connection.recv(100)


def test_an_edited_store_is_made_again(valtag: Valtag, ran: Shop) -> None:
    valtag("serve", *ran.options, "--build")
    (store,) = Path(ran.data).glob("warehouse/*/serving/lookup/*/lookup.sqlite")
    store.write_bytes(b"cut")
    said = valtag("serve", *ran.options, "--build")
    assert said.code == 0 and "made in" in said.err
