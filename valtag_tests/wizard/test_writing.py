"""Files of a catalog written by the wizard: killed at any step, and by two at once."""

import multiprocessing
import signal
import threading
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from valtag_assets.expression.resolve import resolve_catalog
from valtag_assets.spec.mistake import Mistake
from valtag_assets.wizard import drafting
from valtag_assets.wizard.drafting import Change, Draft, draft
from valtag_assets.wizard.one import Wish, propose_one
from valtag_tests.kit import make_catalog
from valtag_tests.warehouse.publishing import die_before

CITY = """\
category: attribute
title: {zh: 属性, en: Attribute}
tags:  # one below the other
  - {code: city, title: {zh: 城市, en: City}, type: text, value: {master: members, of: city}}
"""
PROCESSES = multiprocessing.get_context("fork")


def drafted(root: Path, *fields: str) -> Draft:
    resolved = resolve_catalog(root)
    return draft(resolved, [propose_one(resolved, Wish(field)) for field in fields])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_catalog(tmp_path / "shop", {"tags/attribute.yaml": CITY}).catalog.root


def write(pipe: Connection, root: Path, made: Draft, last_step: int) -> None:
    """Write, but die before the ``last_step``-th change of a file; else answer how many there were."""
    steps = die_before(root, last_step)
    made.write()
    pipe.send(steps())


def killed_at(step: int, root: Path, made: Draft) -> int | None:
    """How many steps there were; None where it was killed before."""
    ours, theirs = PROCESSES.Pipe()
    child = PROCESSES.Process(target=write, args=(theirs, root, made, step), daemon=True)
    child.start()
    theirs.close()
    try:
        done: int | None = ours.recv()
    except EOFError:
        done = None
    child.join()
    assert child.exitcode == (-signal.SIGKILL if done is None else 0)
    return done


def test_whoever_is_killed_leaves_each_file_old_or_new_and_a_sound_catalog(root: Path) -> None:
    made = drafted(root, "members.points", "orders.brand")
    assert [change.before is None for change in made.changes] == [False, True], "one file is there, one is not"
    step, states = 1, set[tuple[bool, ...]]()
    while (done := killed_at(step, root, made)) is None:
        found = [change.file.read_bytes() if change.file.exists() else None for change in made.changes]
        assert all(now in (change.before, change.after) for change, now in zip(made.changes, found, strict=True))
        assert set(resolve_catalog(root).tags) <= {"city", "points", "top_brand"}
        states.add(tuple(now == change.after for change, now in zip(made.changes, found, strict=True)))
        for change in made.changes:
            change.file.unlink(missing_ok=True)
            if change.before is not None:
                change.file.write_bytes(change.before)
        step += 1
    assert done >= 4 and states == {(False, False), (True, False), (True, True)}
    assert set(resolve_catalog(root).tags) == {"city", "points", "top_brand"}
    assert not list((root / "tags").glob(".*")), "what the killed left is gone"


def test_of_two_who_write_at_once_the_second_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = drafted(root, "members.points"), drafted(root, "members.rate")
    holding, told = threading.Event(), list[str]()
    replace = drafting._replace

    def slowly(change: Change) -> None:
        holding.set()
        waiting.join(0.3)
        assert not told, "the second waits"
        replace(change)

    def write_second() -> None:
        holding.wait(10)
        with pytest.raises(Mistake) as error:
            second.write()
        told.append(str(error.value))

    waiting = threading.Thread(target=write_second)
    waiting.start()
    monkeypatch.setattr(drafting, "_replace", slowly)
    first.write()
    waiting.join()
    assert "was changed meanwhile; nothing is written, ask again" in told[0]
    assert set(resolve_catalog(root).tags) == {"city", "points"}
    monkeypatch.undo()
    drafted(root, "members.rate").write()
    assert set(resolve_catalog(root).tags) == {"city", "points", "rate"}
