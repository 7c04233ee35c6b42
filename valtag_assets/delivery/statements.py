"""What is said to the ledger. Each statement finds its rows by an index: the ledger grows for years."""

from collections.abc import Mapping

from valtag_assets.warehouse.quoting import literal

INSERT = """
    INSERT INTO message (key, kind, origin, version, step, destination, person_id, entry, arm, operation,
        "values", values_hash, snapshot, run, as_of, created_at, not_before, expires_at, priority, state, reason)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
INSERT_AGAIN = (
    INSERT
    + """
    ON CONFLICT (key) DO UPDATE SET state = excluded.state, reason = '', attempts = 0, run = excluded.run,
        not_before = excluded.not_before, answered_at = NULL
    WHERE state IN ('rejected', 'dead', 'expired', 'held_back')"""
)
CLAIM = """
    UPDATE message SET state = 'claimed', lease_until = :until, attempts = attempts + 1
    WHERE key IN (
        SELECT key FROM message
        WHERE destination = :destination AND state = 'pending' AND not_before <= :now
          AND (expires_at IS NULL OR expires_at > :now)
          AND (:origin IS NULL OR origin = :origin) AND (:kind IS NULL OR kind = :kind)
        ORDER BY priority DESC, not_before, key LIMIT :most)
    RETURNING *,
        (SELECT now FROM successor WHERE was = message.person_id AND message.kind = 'message') AS person_now"""
DONE = """
    UPDATE message SET state = :state, reason = :reason, reference = :reference, lease_until = NULL,
        sent_at = coalesce(sent_at, :at), answered_at = :at
    WHERE key = :key AND state IN ('claimed', 'pending', 'unknown', 'dead')"""
HELD = """
    INSERT INTO acknowledged SELECT destination, origin, person_id, values_hash, :at FROM message
    WHERE key = :key AND kind = 'sync' AND operation <> 'remove' AND state = 'acknowledged' AND answered_at = :at
    ON CONFLICT DO UPDATE SET values_hash = excluded.values_hash, acked_at = excluded.acked_at"""
GONE = """
    DELETE FROM acknowledged WHERE (destination, origin, person_id) IN (
        SELECT destination, origin, person_id FROM message
        WHERE key = :key AND kind = 'sync' AND operation = 'remove' AND state = 'acknowledged'
          AND answered_at = :at)"""
NOT_DONE = """
    UPDATE message SET state = :state, reason = :reason, reference = :reference, lease_until = NULL,
        not_before = coalesce(:until, not_before), attempts = attempts - :uncounted,
        sent_at = CASE WHEN :doubt THEN coalesce(sent_at, :at) ELSE sent_at END,
        answered_at = :at
    WHERE key = :key AND state = 'claimed' AND attempts = :attempts"""
DOUBT = """
    INSERT INTO acknowledged SELECT destination, origin, person_id, '', :at FROM message
    WHERE key = :key AND kind = 'sync'
    ON CONFLICT DO UPDATE SET values_hash = '', acked_at = excluded.acked_at"""
DOUBT_OF_LOST = """
    INSERT INTO acknowledged SELECT destination, origin, person_id, '', :now FROM message
    WHERE destination = :destination AND state = 'claimed' AND (lease_until < :now OR origin = :origin)
      AND kind = 'sync'
    ON CONFLICT DO UPDATE SET values_hash = '', acked_at = excluded.acked_at"""
LOST = """
    UPDATE message SET state = :state, reason = :reason, lease_until = NULL, sent_at = coalesce(sent_at, :now)
    WHERE destination = :destination AND state = 'claimed' AND (lease_until < :now OR origin = :origin)"""
EXPIRE = """
    UPDATE message SET state = 'expired', reason = 'its time was over before it could be sent', answered_at = :now
    WHERE destination = :destination AND state = 'pending' AND expires_at <= :now"""
WITHDRAW = """
    UPDATE message SET state = 'expired', reason = 'superseded by a newer state', answered_at = :now
    WHERE origin = :origin AND kind = 'sync' AND state = 'pending' AND key NOT IN (SELECT key FROM kept)"""
UNDER_WAY = """
    SELECT person_id, key, state, operation, values_hash FROM message
    WHERE destination = ? AND origin = ? AND kind = 'sync'
      AND (state = 'pending' OR state = 'claimed' OR state = 'unknown')
    ORDER BY person_id"""
RESOLVE = """
    UPDATE message SET state = :state, reason = :reason, not_before = :now, answered_at = :now
    WHERE key = :key AND state = 'unknown'"""
NEXT = """
    SELECT min(at) FROM (
        SELECT min(not_before) AS at FROM message WHERE destination = :destination AND state = 'pending'
          AND (:origin IS NULL OR origin = :origin) AND (:kind IS NULL OR kind = :kind)
        UNION ALL
        SELECT min(lease_until) FROM message WHERE destination = :destination AND state = 'claimed'
          AND (:origin IS NULL OR origin = :origin) AND (:kind IS NULL OR kind = :kind))"""
DUE = """
    SELECT destination, count(*) FROM message WHERE state = 'pending' AND not_before <= :now
    GROUP BY destination ORDER BY destination"""
ACKNOWLEDGED = """
    SELECT person_id, values_hash FROM acknowledged WHERE destination = ? AND origin = ? ORDER BY person_id"""
FOLLOWED = "SELECT snapshot FROM followed"
SUCCESSOR = "INSERT INTO successor VALUES (?, ?)"
PART = "INSERT INTO part VALUES (?, ?)"
_COUNTED = "destination, origin, kind, operation, state, reason"
_MATCHES = {
    "key": "key = :key",
    "origin": "origin = :origin",
    "destination": "destination = :destination",
    # Whatever was written of an id that is the person's by now.
    "person": "person_id IN (SELECT :person UNION ALL SELECT was FROM successor WHERE now = :person)",
    "run": "run = :run",
    # These are named, not bound: SQLite then knows which of its partial indexes hold all there is.
    "kind": "kind = {}",
    "state": "state = {}",
}


def read(given: Mapping[str, str | None]) -> str:
    """Every column of the messages that match what is given, oldest first."""
    where = _where(given)
    return f"SELECT * FROM message WHERE {where} ORDER BY created_at, key"


def counts(given: Mapping[str, str | None]) -> str:
    """How many messages match what is given, by where they go, where they come from, and what became of them."""
    where, columns = _where(given), _COUNTED
    return f"SELECT {columns}, count(*) AS messages FROM message WHERE {where} GROUP BY {columns} ORDER BY {columns}"


def _where(given: Mapping[str, str | None]) -> str:
    conditions = [_MATCHES[name].format(literal(value)) for name, value in given.items() if value is not None]
    return " AND ".join(conditions) or "true"
