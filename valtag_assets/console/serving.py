"""``valtag serve``: the store of what is published, then the service over it."""

import os
import sys
import time
from ipaddress import ip_address

from rich.console import Console

from valtag_assets.console.webserver import HOST, refuse_taken
from valtag_assets.graph.receipts import receipts_folder
from valtag_assets.graph.setting import Setting
from valtag_assets.serving.building import build_store, find_store
from valtag_assets.serving.keys import read_keys
from valtag_assets.serving.published import Published, published
from valtag_assets.serving.service import Place, Service
from valtag_assets.spec.mistake import Mistake
from valtag_assets.warehouse.derived import Derived

_COMMAND = "import sys; from valtag_assets.cli import main; sys.exit(main())"


def made_store(setting: Setting, out: Console) -> Derived:
    """The store of what is published now, made if it is missing; says so. Raises Mistake where nothing is."""
    now = published(setting.warehouse, setting.resolved)
    found = find_store(setting.derived, now)
    if found is not None:
        return found
    out.print(f"making the store of as-of {now.as_of} …", markup=False)
    started = time.monotonic()
    made = build_store(setting.derived, setting.resolved, now, setting.spill)
    size = sum(made.about["files"].values()) / 1e6
    seconds = time.monotonic() - started
    out.print(f"made in {seconds:.1f} s: {made.about['persons']:,} persons, {size:,.1f} MB", markup=False)
    _tell(now, out)
    return made


def serve(setting: Setting, out: Console, *, host: str, port: int, is_open: bool) -> bool:
    """Serve until told to end; whether the server came up. Raises Mistake for what must not or can't be served."""
    from valtag_assets.serving.app import create_app
    from valtag_assets.serving.server import run_server

    keys = read_keys(setting.resolved, os.environ, is_open=is_open)
    if is_open and not _is_loopback(host):
        raise Mistake(f"--open serves without keys, so on this machine only: leave out --host {host}, or name keys")
    refuse_taken(port, host)
    made = made_store(setting, out)
    place = Place(setting.resolved, setting.warehouse, setting.spill, receipts_folder(setting), setting.audit)
    build = [sys.executable, "-c", _COMMAND, "serve", "--build"]
    build += ["--catalog", str(setting.resolved.catalog.root), "--data", str(setting.data)]
    app = create_app(Service(place, made, build), keys)
    what = f"as-of {made.about['as_of']}, {made.about['persons']:,} persons; {keys}"
    out.print(f"http://{host}:{port}  {what}; /openapi.json describes it", markup=False, soft_wrap=True)
    return run_server(app, host, port)


def _tell(now: Published, out: Console) -> None:
    for code, origin in now.held.items():
        good = f"its good values of {origin.as_of} are served" if origin else "it has no good values, none are served"
        out.print(f"tag {code} is held: {good}", markup=False, style="yellow")


def _is_loopback(host: str) -> bool:
    if host in (HOST, "localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
