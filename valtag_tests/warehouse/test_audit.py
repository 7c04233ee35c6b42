"""The audit log: everything written stands, and nothing can be changed unseen."""

import json
import os
import signal
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from valtag_assets.spec.mistake import Mistake
from valtag_assets.warehouse.audit import AuditError, AuditLog, audit_key
from valtag_assets.warehouse.audit_tally import AuditTally, Reading
from valtag_tests.chance import MORE
from valtag_tests.warehouse.publishing import PROCESSES

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
KEY = b"sixteen characters"


def log_in(root, key=None):
    return AuditLog(root, lambda: NOON, key)


def filled(root, count=6, key=None):
    log = log_in(root, key)
    for number in range(count):
        log.record("select", actor="ann", what=f"segments/s{number}", rows=number, tags=["city"], purpose="care")
    return log


def write_for_ever(root, ready):
    log = log_in(root)
    ready.send("started")
    number = 0
    while True:
        number += 1
        log.record("serve", actor=str(os.getpid()), what="person", rows=number)
        ready.send(number)


def lines_of(log):
    return log.file.read_bytes().splitlines(keepends=True)


def test_what_was_recorded_is_read_back(tmp_path):
    log = filled(tmp_path, 2)
    first, second = log.entries()
    assert (first.actor, first.what, first.rows, first.tags, first.at) == ("ann", "segments/s0", 0, ("city",), NOON)
    assert second.previous == first.hash
    found = log.verify()
    assert found.sound and found.entries == 2 and found.hash == second.hash


@settings(max_examples=40 * MORE, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_edit_is_found_at_its_line(tmp_path, data):
    root = tmp_path / os.urandom(8).hex()
    log = filled(root)
    lines = lines_of(log)
    at = data.draw(st.integers(0, 5))
    edit = data.draw(st.sampled_from(["remove", "repeat", "swap", "change", "garble", "insert"]))
    changed = list(lines)
    if edit == "remove":
        del changed[at]
    elif edit == "repeat":
        changed.insert(at, lines[at])
    elif edit == "swap":
        at = min(at, 4)
        changed[at], changed[at + 1] = changed[at + 1], changed[at]
    elif edit == "change":
        changed[at] = lines[at].replace(b'"ann"', b'"bob"')
    elif edit == "garble":
        changed[at] = b"\xff" + lines[at][1:]
    else:
        changed.insert(at, b"{}\n")
    log.file.write_bytes(b"".join(changed))
    faults = log.verify().faults
    assert faults, edit
    # A repeated line is seen where its copy stands, after it.
    assert faults[0].line == at + (2 if edit == "repeat" else 1), (edit, at, faults)


def test_every_changed_byte_is_found(tmp_path):
    log = filled(tmp_path, 3)
    whole = log.file.read_bytes()
    for place in range(0, len(whole), 7):
        log.file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert not log.verify().sound, place
    log.file.write_bytes(whole)
    assert log.verify().sound


def test_a_cut_tail_stays_seen_after_more_was_written(tmp_path):
    log = filled(tmp_path)
    log.file.write_bytes(b"".join(lines_of(log)[:4]))
    assert [str(fault) for fault in log.verify().faults] == ["line 5: entries 5 to 6 are missing at the end"]
    log.record("select", actor="ann", what="segments/later")
    assert "entries 5 to 6 are missing before it" in str(log.verify().faults[0])


def test_an_end_cut_within_a_line_does_not_swallow_the_next_entry(tmp_path):
    log = filled(tmp_path)
    log.file.write_bytes(log.file.read_bytes()[:-20])
    entry = log.record("select", actor="ann", what="segments/later")
    assert lines_of(log)[-1].decode() == entry.line() + "\n"
    assert not log.verify().sound


def test_a_lost_log_stays_seen(tmp_path):
    log = filled(tmp_path)
    log.file.unlink()
    assert not log.verify().sound
    log.record("select", actor="ann", what="segments/later")
    assert "entries 1 to 6 are missing" in str(log.verify().faults[0])


def test_a_lost_head_is_a_fault_and_then_a_note(tmp_path):
    log = filled(tmp_path)
    log.file.with_name("head.json").unlink()
    assert not log.verify().sound
    log.record("select", actor="ann", what="segments/later")
    found = log.verify()
    assert found.sound and "head was missing" in str(found.notes[0])


def test_without_the_key_a_chain_made_anew_is_found(tmp_path):
    filled(tmp_path / "true", key=KEY)
    forged = filled(tmp_path / "forged", 5)
    for name in ("log.jsonl", "head.json"):
        (tmp_path / "true/audit" / name).write_bytes((forged.file.parent / name).read_bytes())
    assert not log_in(tmp_path / "true", KEY).verify().sound
    assert log_in(tmp_path / "true").verify().sound  # so it is with no key: both files can be made anew


def test_an_older_state_put_back_is_found_by_a_hash_noted_elsewhere(tmp_path):
    log = filled(tmp_path, key=KEY)
    before = {path: path.read_bytes() for path in log.file.parent.iterdir()}
    log.record("export", actor="ann", what="segments/all")
    noted = log.verify().hash
    for path, content in before.items():
        path.write_bytes(content)
    assert log.verify().sound
    assert not log.verify(noted).sound


def test_a_signed_log_is_written_on_with_its_key_only(tmp_path):
    filled(tmp_path, 2, KEY)
    for key in (None, b"another key altogether"):
        with pytest.raises(AuditError, match="VALTAG_AUDIT_KEY"):
            log_in(tmp_path, key).record("select", actor="ann", what="segments/x")
    assert log_in(tmp_path, KEY).verify().entries == 2
    assert "not checked" in str(log_in(tmp_path).verify().notes[0])


def test_where_signing_begins_is_told(tmp_path):
    filled(tmp_path, 2)
    log_in(tmp_path, KEY).record("select", actor="ann", what="segments/x")
    found = log_in(tmp_path, KEY).verify()
    assert found.sound and str(found.notes[0]).startswith("line 3: signing begins")


def test_a_key_that_is_too_short_is_refused():
    with pytest.raises(Mistake, match="16"):
        audit_key({"VALTAG_AUDIT_KEY": "short"})
    assert audit_key({}) is None


def test_a_torn_line_is_cut_off_and_told(tmp_path):
    log = filled(tmp_path, 2)
    with log.file.open("ab") as file:
        file.write(b'{"seq":3,"act')
    log.record("select", actor="ann", what="segments/later")
    found = log.verify()
    assert found.sound and "13 bytes" in str(found.notes[0])
    assert [entry.action for entry in log.entries()] == ["select", "select", "recovered", "select"]


def test_a_whole_line_the_head_did_not_hear_of_is_taken_in(tmp_path):
    log = filled(tmp_path, 2)
    before = log.file.with_name("head.json").read_bytes()
    log.record("select", actor="ann", what="segments/third")
    log.file.with_name("head.json").write_bytes(before)
    log.record("select", actor="ann", what="segments/fourth")
    assert log.verify().sound and log.verify().entries == 4


def test_an_entry_added_without_the_key_is_no_entry_of_ours(tmp_path):
    log = filled(tmp_path, 2, KEY)
    _, second = log.entries()
    forged = replace(second, seq=3, what="segments/forged", previous=second.hash, signature=None)
    with log.file.open("a", encoding="utf-8") as file:
        file.write(replace(forged, hash=forged.digest()).line() + "\n")
    for sees in (KEY, None):
        assert [fault.line for fault in log_in(tmp_path, sees).verify().faults] == [3]
    log.record("select", actor="ann", what="segments/next")
    assert not log.verify().sound and list(log.entries())[-1].previous == second.hash


@pytest.mark.parametrize("change", [{"seq": "2"}, {"details": [], "action": "recovered"}, {"hash": 5}])
def test_what_is_no_entry_any_more_is_a_fault_however_odd(tmp_path, change):
    log = filled(tmp_path, 3)
    lines = [json.loads(line) for line in lines_of(log)]
    lines[1] |= change
    written = [json.dumps(line, ensure_ascii=False, sort_keys=True, separators=(",", ":")) for line in lines]
    log.file.write_text("".join(f"{line}\n" for line in [*written, "[" * 100_000]), encoding="utf-8")
    log.file.with_name("head.json").write_text('{"count": "3", "size": "1", "hash": 7}')
    assert [fault.line for fault in log.verify().faults] == [2, 4, None]
    log.record("select", actor="ann", what="segments/next")
    assert not log.verify().sound


def test_a_text_no_file_can_hold_is_an_error(tmp_path):
    log = filled(tmp_path, 1)
    with pytest.raises(AuditError, match="no text"):
        log.record("select", actor="ann\ud800", what="segments/x")
    assert log.verify().entries == 1


def test_killed_writers_lose_nothing_they_were_told_was_written(tmp_path):
    told = 0
    for pause in (0.02, 0.05, 0.09):
        receiver, sender = PROCESSES.Pipe(duplex=False)
        child = PROCESSES.Process(target=write_for_ever, args=(tmp_path, sender), daemon=True)
        child.start()
        sender.close()
        assert receiver.recv() == "started"
        time.sleep(pause)
        os.kill(child.pid or 0, signal.SIGKILL)
        child.join()
        told += drained(receiver)
    log = log_in(tmp_path)
    log.record("select", actor="ann", what="segments/after")
    found = log.verify()
    assert found.sound and found.entries >= told + 1


def drained(receiver):
    """How many entries the killed writer was told of."""
    last = 0
    try:
        while receiver.poll():
            last = receiver.recv()
    except EOFError:
        pass
    return last


def test_threads_that_wait_share_a_write_and_all_are_told(tmp_path):
    log, found = log_in(tmp_path), []

    def many():
        found.extend(log.record("serve", actor="key", what="person", rows=1).seq for _ in range(20))

    threads = [threading.Thread(target=many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(1, 161))
    assert log.verify().sound


def test_a_log_that_can_not_be_written_is_an_error(tmp_path):
    (tmp_path / "audit").write_text("in the way", encoding="utf-8")
    with pytest.raises(AuditError, match="audit"):
        log_in(tmp_path).record("select", actor="ann", what="segments/x")


def test_no_identifier_stands_in_the_log(tmp_path):
    log = log_in(tmp_path)
    log.record(
        "erase",
        actor="ann",
        what="phone = '138 1234 5678'",
        person="13812345678",
        purpose="asked by li@example.com, 110101199003074514",
        refused="no +8613812345678",
        details={"as_of": "2024-03-10", "why": "call 13812345678"},
    )
    text = log.file.read_text(encoding="utf-8")
    for mark in ("5678", "example.com", "110101", "199003"):
        assert mark not in text
    assert "2024-03-10" in text
    assert (tmp_path / "person.key").stat().st_mode & 0o077 == 0


def test_many_readings_make_few_entries_and_none_is_forgotten(tmp_path):
    now = [NOON]
    log = AuditLog(tmp_path, lambda: now[0])
    tally = AuditTally(log, timedelta(seconds=10))
    reading = Reading("serve", "crm", "person", role="service", tags=("city",))
    for second in range(25):
        now[0] = NOON + timedelta(seconds=second)
        tally.count(reading, rows=2)
        if second == 0:
            assert [entry.rows for entry in log.entries()] == [2]  # before the first answer
    tally.flush()
    assert sum(entry.rows or 0 for entry in log.entries()) == 50
    assert sum(entry.details["requests"] for entry in log.entries()) == 25
    assert len(list(log.entries())) == 6


def test_a_reading_that_can_not_be_recorded_is_an_error(tmp_path):
    (tmp_path / "audit").write_text("in the way", encoding="utf-8")
    with pytest.raises(AuditError):
        AuditTally(log_in(tmp_path)).count(Reading("serve", "crm", "person"), 1)
