"""Text steps: trim, half-width, missing spellings, replacement, case and code tables.

Each step exists twice: as an Ibis expression over a column, and (``spelled``) in Python for the spellings a
catalog writes, so that a spelling and a value that people call equal are compared in the same form.

Regular expressions are written in the part of RE2 and Java that means the same in both: ``\\z`` for the end
of the text, explicit character classes for spaces. A replacement refers to groups as ``\\1``.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

import ibis
from ibis.expr.types import BooleanValue, NumericValue, StringValue, Value

from valtag_assets.expression.patterns import engine_pattern
from valtag_assets.spec.source import Field

_MANY = 30

# What trim removes at both ends: ASCII and Unicode spaces, zero-width characters, direction marks, BOM.
_SPACE_RANGES = (
    (0x09, 0x0D),
    (0x1C, 0x20),
    (0x85, 0x85),
    (0xA0, 0xA0),
    (0x1680, 0x1680),
    (0x180E, 0x180E),
    (0x2000, 0x200F),
    (0x2028, 0x202F),
    (0x205F, 0x2064),
    (0x3000, 0x3000),
    (0xFEFF, 0xFEFF),
)
SPACES = "".join(chr(code) for first, last in _SPACE_RANGES for code in range(first, last + 1))
_SPACE = "".join(rf"\x{{{first:x}}}-\x{{{last:x}}}" for first, last in _SPACE_RANGES)

# Full-width forms of the printable ASCII characters and the ideographic space.
_FULL = "".join(chr(code) for code in range(0xFF01, 0xFF5F)) + "\u3000"
_HALF = "".join(chr(code) for code in range(0x21, 0x7F)) + " "
_FULL_CLASS = r"[\x{ff01}-\x{ff5e}\x{3000}]"
_TO_HALF = str.maketrans(_FULL, _HALF)


def spelled(text: str, field: Field) -> str:
    """A spelling of the catalog (missing value, left side of a code table) after trim and half-width."""
    text = text.strip(SPACES) if field.trim else text
    return text.translate(_TO_HALF) if field.half_width else text


def cased(text: str, field: Field) -> str:
    if field.case is None:
        return text
    return text.lower() if field.case == "lower" else text.upper()


def as_text(raw: Value) -> StringValue:
    """The text form of a typed column. A float that is whole has no ``.0``: 17850.0 is the id ``17850``.

    Other floats look as the engine writes them (1e-05 or 1.0E-5), which parses back to the same number.
    """
    dtype = raw.type()
    if dtype.is_string():
        return raw
    if dtype.is_floating():
        return whole(raw).ifelse(raw.try_cast("int64").cast("string"), raw.cast("string"))
    return raw.cast("string")


def whole(number: NumericValue) -> BooleanValue:
    """Is a float a whole number that fits 64 bits? (``floor`` would raise on infinities.)"""
    return ((number % 1) == 0) & (number.abs() < 2.0**63)


def normalise(text: StringValue, field: Field) -> StringValue:
    """Trim and half-width. One look at the value decides whether there is anything to do."""
    needs = []
    result = text
    if field.trim:
        needs += [rf"^[{_SPACE}]", rf"[{_SPACE}]\z"]
        result = result.re_replace(rf"^[{_SPACE}]+|[{_SPACE}]+\z", "")
    if field.half_width:
        needs.append(_FULL_CLASS)
        # Looked for once more, since to translate a value costs as much as to look at sixty.
        result = text.re_search(_FULL_CLASS).ifelse(result.translate(_FULL, _HALF), result)
    return text.re_search("|".join(needs)).ifelse(result, text) if needs else text


def missing_spellings(field: Field, project_missing: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(spelled(text, field) for text in (*project_missing, *field.missing)))


def without_missing(text: StringValue, spellings: Iterable[str]) -> StringValue:
    """Null where the text is one of the missing spellings, exactly."""
    spellings = list(spellings)
    return one_of(text, spellings).ifelse(ibis.null("string"), text) if spellings else text


def one_of(text: StringValue, spellings: Sequence[str]) -> BooleanValue:
    """Is the text one of these? A few are compared one by one.

    DuckDB makes a join of a longer IN list, and then works out every column below it, wanted or not.
    """
    if len(spellings) > _MANY:
        return text.isin(spellings)
    return ibis.or_(*(text == spelling for spelling in spellings))


def without_missing_times(moment: Value, spellings: Iterable[str]) -> Value:
    """Null where a typed date or timestamp equals a missing spelling that is one (as 1900-01-01)."""
    known = []
    for spelling in spellings:
        with suppress(ValueError):
            known.append(ibis.literal(datetime.fromisoformat(spelling).replace(tzinfo=None), type="timestamp"))
    return moment.cast("timestamp").isin(known).ifelse(ibis.null(moment.type()), moment) if known else moment


def rewritten(text: StringValue, field: Field) -> StringValue:
    """The replacements in order, then the case. A replacement that leaves nothing leaves a missing value."""
    for step in field.replace:
        text = text.re_replace(engine_pattern(step.pattern), step.by)
    if field.replace:
        text = text.nullif("")
    if field.case is not None:
        text = text.lower() if field.case == "lower" else text.upper()
    return text


def code_table(field: Field) -> Mapping[str, str]:
    """The field's code table with its left sides in the form the values have by then.

    ValueError: two spellings become one under trim, half-width and case, but mean different codes.
    """
    table: dict[str, str] = {}
    for spelling, code in (field.values or {}).items():
        key = cased(spelled(spelling, field), field)
        if table.setdefault(key, code) != code:
            raise ValueError(
                f"field '{field.name}': after trim, half-width and case '{spelling}' is the same spelling as "
                f"another one, but means '{code}' there and '{table[key]}' here"
            )
    return table


def coded(text: StringValue, table: Mapping[str, str], keep_unknown: bool) -> StringValue:
    """The code of each spelling; a spelling not in the table is kept or becomes null.

    One branch per code, not per spelling, so that long tables of spellings stay cheap.
    """
    spellings: dict[str, list[str]] = {}
    for spelling, code in table.items():
        spellings.setdefault(code, []).append(spelling)
    branches = [(one_of(text, many), ibis.literal(code)) for code, many in spellings.items()]
    return ibis.cases(*branches, else_=text if keep_unknown else ibis.null("string"))
