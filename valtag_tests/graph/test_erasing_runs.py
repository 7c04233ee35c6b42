"""An erasure that is asked for while a run is going on waits for its turn, and the run goes on without the person."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.graph import erasing
from valtag_assets.graph.certificate import certify
from valtag_assets.graph.erasing import Orderer, carry_out, order_erasure
from valtag_assets.graph.jobs import INTAKE
from valtag_assets.warehouse.errors import LockTimeout
from valtag_assets.warehouse.journal import begun
from valtag_tests.graph.marked import PERSON, telling
from valtag_tests.graph.shop import Shop

BY = Orderer("ann", "keeper")
PATIENCE = 300


def halted(write: Callable[..., None], reached: Event, go_on: Event) -> Callable[..., None]:
    """``write``, which stops at the first table until it may go on."""

    def waiting(self: DuckDBEngine, *arguments: Any) -> None:
        if not reached.is_set():
            reached.set()
            assert go_on.wait(PATIENCE)
        write(self, *arguments)

    return waiting


def test_it_waits_for_the_table_that_is_being_made_and_none_of_the_run_has_her(
    marked: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go_on = Event(), Event()
    monkeypatch.setattr(DuckDBEngine, "write", halted(DuckDBEngine.write, reached, go_on))
    marked.full = True
    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(marked.run, job=INTAKE)
        try:
            assert reached.wait(PATIENCE)
            order = order_erasure(marked.setting, [PERSON], BY)
            with monkeypatch.context() as impatient:
                impatient.setattr(erasing, "_WAIT_SECONDS", 0.2)
                with pytest.raises(LockTimeout, match="a table is being made"):
                    carry_out(marked.setting, order)
            left = begun(marked.setting.warehouse.root)
            assert left is not None and left.id == order.id
            finished = pool.submit(carry_out, marked.setting, left)
        finally:
            go_on.set()
        done, outcomes = finished.result(PATIENCE), running.result(PATIENCE)
    assert done.complete, (done.scanned.hits, done.withdrawn)
    assert set(outcomes.values()) <= {"published", "reused"}
    certify(marked.setting, done)
    assert telling(marked.root / "data") == []
    assert PERSON not in set(marked.rows("clean/customers", None)["customer_id"])
