"""What a table is: master, fact or lookup, and which of its columns are person, time and key."""

from collections.abc import Sequence

from valtag_assets.engine.inventory.profile import Column, Key, Role
from valtag_assets.engine.inventory.suspicion import is_person_key
from valtag_assets.engine.inventory.words import (
    BIRTH,
    DEVICES,
    EVENT_IDS,
    EVENTFUL,
    IDENTIFIER,
    PERSON,
    PROFILE,
    PROFILE_TIMES,
    UPDATED,
    words,
)
from valtag_assets.spec.block import Title

_ONE_EACH = 0.85  # different persons among the rows of a master: it may hold older versions of some
_OF_KEY = 0.2  # different values among the rows, of the column that makes a key say which event it was


def role_of(name: str, columns: Sequence[Column], keys: Sequence[Key], copies: int | None, rows: int) -> Role:
    """The role of the table called ``name``."""
    open_ = [column for column in columns if not column.left_out]
    if not rows:
        return Role(None, Title(zh="没有数据行", en="has no rows"))
    person = _person(name, open_, rows)
    time = _time(open_)
    if person is None:
        return _lookup(open_, keys, rows)
    share = person.counted.distinct / rows
    eventful = sum(bool(words(column.name) & EVENTFUL) for column in open_)
    about = sum(bool(words(column.name) & PROFILE) for column in open_)
    master = share == 1 or (share >= _ONE_EACH and about >= eventful)
    if time is None and not master:
        parts = ", ".join(column.code for column in open_ if words(column.name) <= {"month", "day", "week", "hour"})
        said = f"只有 {parts}，没有年份" if parts else "没有可用的时间字段"
        told = f"only {parts}, and no year" if parts else "no field that dates a row"
        return Role(
            None,
            Title(
                zh=f"是人员的行为记录，但{said}，无法作为事实表",
                en=f"has rows of persons but {told}: no fact can be made of it",
            ),
            person.code,
        )
    if master and not (share < 1 and time is not None and eventful > about):
        newest = _newest(open_) if share < 1 else None
        many = (
            f"每人一行（{share:.0%} 的行是不同的人）",
            f"one row per person ({share:.0%} of the rows are different ones)",
        )
        return Role(
            "master", Title(zh=many[0], en=many[1]), person.code, None, (person.code,), (person.code,), newest
        )
    assert time is not None or master
    if time is None:
        return Role("master", Title(zh="每人一行", en="one row per person"), person.code, None, (person.code,))
    key = _key(open_, keys, person.code, time.code)
    merged = key if _tells_event(open_, key, person.code, rows) else ()
    key = key if merged or (not copies and all(k.unlike == 0 for k in keys)) else ()
    reason = Title(
        zh=f"每行是 {person.code} 在 {time.code} 的一次事件", en=f"a row is an event of {person.code} at {time.code}"
    )
    return Role("fact", reason, person.code, time.code, key, merged)


def _person(name: str, columns: Sequence[Column], rows: int) -> Column | None:
    of_persons = {word.removesuffix("s") for word in words(name)} & PERSON
    named = [
        column
        for column in columns
        if column.type.kind == "text"
        and (
            is_person_key(column.counted)
            or (of_persons and words(column.name) <= IDENTIFIER and column.counted.distinct == rows)
        )
    ]
    ranked = sorted(
        named,
        key=lambda c: (bool(words(c.name) & DEVICES), not words(c.name) & IDENTIFIER, c.measured.missing > rows / 2),
    )
    return ranked[0] if ranked else None


def _time(columns: Sequence[Column]) -> Column | None:
    """The column that dates a row: an event's own time before those of profiles and changes; never a birthday."""
    able = [column for column in columns if column.type.temporal and not words(column.name) & BIRTH]
    if not able:
        return None
    return min(
        able,
        key=lambda c: (
            bool(words(c.name) & PROFILE_TIMES),
            c.measured.missing + c.measured.unread > 0.1 * (c.counted.present or 1),
            not words(c.name) & EVENTFUL and not words(c.name) & {"time", "at", "timestamp", "ts", "tm"},
        ),
    )


def _newest(columns: Sequence[Column]) -> str | None:
    times = [column for column in columns if column.type.temporal and not words(column.name) & BIRTH]
    updated = [column for column in times if words(column.name) & UPDATED]
    return next((column.code for column in [*updated, *times]), None)


def _lookup(columns: Sequence[Column], keys: Sequence[Key], rows: int) -> Role:
    codes = {column.code: column for column in columns}
    singles = [codes[key.columns[0]] for key in keys if len(key.columns) == 1 and key.columns[0] in codes]
    texts = [column for column in singles if column.type.kind == "text"]
    if texts:
        best = min(texts, key=lambda c: (not c.guess.identifier, "name" in words(c.name)))
        return Role(
            "lookup",
            Title(zh=f"每个 {best.code} 一行", en=f"one row per {best.code}"),
            None,
            None,
            (best.code,),
            (best.code,),
        )
    newest = _newest(columns)
    named = [column for column in columns if column.guess.identifier and column.counted.distinct < rows]
    within = [column for column in named if any({column.code, newest} == set(key.columns) for key in keys)]
    if newest and within:
        code = within[0].code
        reason = Title(
            zh=f"每个 {code} 每个 {newest} 一行，取最新", en=f"one row per {code} and {newest}; the latest counts"
        )
        return Role("lookup", reason, None, None, (code,), (code,), newest)
    return Role(
        None, Title(zh="没有人员键，也没有单列主键", en="has neither the key of a person nor a key of one column")
    )


def _key(columns: Sequence[Column], keys: Sequence[Key], person: str, time: str) -> tuple[str, ...]:
    if not keys:
        return ()
    identifiers = {column.code for column in columns if column.guess.identifier}
    return min(
        keys, key=lambda key: (len(key.columns), -len(identifiers & set(key.columns)), person in key.columns)
    ).columns


def _tells_event(columns: Sequence[Column], key: tuple[str, ...], person: str, rows: int) -> bool:
    """Whether rows with an equal key are one event written twice: its key has an id of the event's own."""
    named = [column for column in columns if column.code in key and column.code != person and column.guess.identifier]
    telling = [column for column in named if len(key) == 1 or words(column.name) & EVENT_IDS]
    return any(column.counted.distinct >= _OF_KEY * rows for column in telling)
