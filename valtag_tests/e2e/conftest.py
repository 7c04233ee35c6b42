"""A Dagster UI on loopback over a small shop that has been run, and a browser to look at it."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError

import dagster as dg
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from valtag_tests.graph.shop import Shop

# A browser that looks for nothing outside the machine.
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WORKSPACE = "load_from:\n  - python_module: {module_name: valtag_assets.definitions, location_name: valtag}\n"


@pytest.fixture(scope="session")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a webserver over a shop whose whole graph has been run."""
    root = tmp_path_factory.mktemp("ui")
    home = root / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\nnux: {enabled: false}\n")
    (root / "workspace.yaml").write_text(WORKSPACE)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        shop = Shop(root, instance)
        shop.write()
        assert set(shop.run().values()) == {"published"}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "VALTAG_CATALOG": str(root / "catalog"),
        "VALTAG_DATA": str(root / "data"),
    }
    command = [sys.executable, "-m", "dagster_webserver", "-h", "127.0.0.1", "-p", str(port)]
    log = (root / "log").open("w")
    server = subprocess.Popen([*command, "-w", str(root / "workspace.yaml")], env=environment, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(address, server, root / "log")
        yield address
    finally:
        server.terminate()
        server.wait(timeout=30)
        log.close()


def _wait(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(240):
        if server.poll() is not None:
            raise AssertionError(f"the webserver ended: {log.read_text()}")
        try:
            with urllib.request.urlopen(f"{address}/server_info", timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.5)
    raise AssertionError(f"the webserver did not start: {log.read_text()}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless browser; it holds an event loop while it is open, so it closes with its tests."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium on this machine: install it (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=QUIET)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1500, "height": 2400})
    opened.set_default_timeout(60_000)
    yield opened
    opened.close()
