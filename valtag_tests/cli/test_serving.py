"""valtag ui and valtag generate."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from valtag_assets.graph import home
from valtag_tests.cli.conftest import Shop, Valtag


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_taken_port_is_refused(valtag: Valtag, shop: Shop) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = valtag("ui", *shop.options, "--port", port)
    assert said.code == 1
    assert f"port {port} is taken" in said.err and "--port" in said.err


def test_the_ui_is_served_and_leaves_no_process_behind(shop: Shop) -> None:
    port = _free_port()
    command = [sys.executable, "-c", "import sys; from valtag_assets.cli import main; sys.exit(main())", "ui"]
    log = (shop.data.parent / "ui.log").open("w")
    child = subprocess.Popen([*command, *shop.options, "--port", str(port)], stdout=log, stderr=log)
    try:
        page = _fetch(f"http://127.0.0.1:{port}/server_info", child)
        assert b"dagster_webserver_version" in page
        group = _session_of(child.pid)
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=60) == 0
    finally:
        child.kill()
    assert _members(group) == []


def test_the_workspace_of_the_repository_is_the_one_that_is_served() -> None:
    root = Path(__file__).parents[2]
    shipped = Path(home.__file__).parent / "workspace.yaml"
    assert (root / "workspace.yaml").read_text(encoding="utf-8") == shipped.read_text(encoding="utf-8")


def test_a_small_mall_is_generated_once(valtag: Valtag, tmp_path: Path) -> None:
    options = ["--persons", 30, "--days", 30, "--seed", 3, "--into", tmp_path / "mall"]
    said = valtag("generate", "mall", *options)
    assert said.code == 0
    assert (tmp_path / "mall/raw/crm_members.csv").is_file()
    assert "raw/crm_members.csv" in said.err
    again = valtag("generate", "mall", *options)
    assert again.code == 1 and "exists" in again.err
    shutil.rmtree(tmp_path / "mall")


def test_a_wrong_size_or_catalog_is_refused(valtag: Valtag, tmp_path: Path) -> None:
    assert valtag("generate", "mall", "--persons", 0, "--days", 30, "--into", tmp_path / "x").code == 1
    said = valtag("generate", "mal", "--persons", 5, "--days", 30, "--into", tmp_path / "x")
    assert said.code == 1 and "did you mean 'mall'?" in said.err


def _fetch(url: str, child: "subprocess.Popen[bytes]") -> bytes:
    for _ in range(240):
        assert child.poll() is None
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return bytes(answer.read())
        except OSError:
            time.sleep(0.25)
    raise AssertionError(f"{url} does not answer")


def _session_of(parent: int) -> int:
    """The session of the server that ``parent`` started."""
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, text=True, check=True)
    return os.getsid(int(children.stdout.split()[0]))


def _members(session: int) -> list[str]:
    """The processes of a session that are at work; the dead wait for init, which is not ours."""
    listed = subprocess.run(
        ["ps", "-o", "stat=,cmd=", "-s", str(session)], capture_output=True, text=True, check=False
    )
    return [line for line in listed.stdout.splitlines() if not line.startswith("Z")]
