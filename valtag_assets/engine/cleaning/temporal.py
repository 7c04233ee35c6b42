"""Dates and times from text: each written format becomes one anchored regular expression and a rewriting.

``iso``: yyyy-mm-dd, optionally with hh:mm[:ss[.fraction]] after ``T`` or a space, optionally with ``Z``,
``UTC`` or ±hh[:mm]. ``epoch_s``, ``epoch_ms``, ``epoch_us``: elapsed since 1970 UTC. A pattern has the tokens
YYYY YY MMM (English month) MM M DD D HH H mm ss SSS and literals: ``YYYY/M/D H:mm``, ``YYYY年M月D日``.

Rules: a format that does not match, or gives an impossible date (30 February, 24:00, second 60), gives way to
the next; when none is left the value is invalid. Two-digit years need ``two_digit_years`` and mean 1970 to
2069. Fractions are cut to microseconds. Of several epoch units in one list, the number of digits decides: at
most 11 are seconds, at most 14 milliseconds, at most 17 microseconds.
"""

import re
from dataclasses import dataclass

import ibis
from ibis.expr.types import StringValue, TimestampValue

EPOCHS = {"epoch_s": 11, "epoch_ms": 14, "epoch_us": 17}
_MICROSECONDS = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}
DEFAULT_FORMATS = ("iso",)

_YEAR = r"(?:\d{3}[1-9]|\d{2}[1-9]0|\d[1-9]00|[1-9]000)"
_DATE = rf"{_YEAR}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?"
_ZONE = r" ?(?:Z|UTC|[+-](?:0\d|1[0-4])(?::?[0-5]\d)?)\z"
_ISO_NAIVE = rf"^{_DATE}(?:[T ]{_TIME})?\z"
_ISO_ZONED = rf"^{_DATE}[T ]{_TIME}{_ZONE}"
_MICROSECOND_LENGTH = len("2000-01-01 00:00:00.000000")

_MONTHS = "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC"
_TOKENS = {
    "YYYY": ("year", _YEAR),
    "MMM": ("name", r"[A-Za-z]{3}"),
    "MM": ("month", r"0[1-9]|1[0-2]"),
    "M": ("month", r"0?[1-9]|1[0-2]"),
    "DD": ("day", r"0[1-9]|[12]\d|3[01]"),
    "D": ("day", r"0?[1-9]|[12]\d|3[01]"),
    "HH": ("hour", r"[01]\d|2[0-3]"),
    "H": ("hour", r"[01]?\d|2[0-3]"),
    "mm": ("minute", r"[0-5]\d"),
    "ss": ("second", r"[0-5]\d"),
    "SSS": ("fraction", r"\d{3}"),
}
_CENTURIES = (("19", r"[7-9]\d"), ("20", r"[0-6]\d"))
_SCAN = re.compile("YYYY|YY|MMM|MM|M|DD|D|HH|H|mm|ss|SSS|T|[A-Za-z]+|.", re.DOTALL)


@dataclass(frozen=True)
class Pattern:
    """One compiled pattern: what it matches, and which group holds which part."""

    regex: str
    groups: dict[str, int]
    century: str

    @property
    def iso(self) -> str:
        """The replacement that rewrites a match to ISO text; month names stay for later."""
        part = {name: rf"\{index}" for name, index in self.groups.items()}
        text = f"{self.century}{part['year']}-{part.get('month', '')}-{part['day']}"
        if "hour" in part:
            text += f" {part['hour']}:{part.get('minute', '00')}:{part.get('second', '00')}"
        return text + (f".{part['fraction']}" if "fraction" in part else "")


def compile_pattern(text: str, two_digit_years: bool) -> list[Pattern]:
    """The pattern a catalog writes; one with YY becomes two, one per century.

    ValueError: an unknown token, a part twice, no complete date, a time without hours, or YY without
    ``two_digit_years``.
    """
    tokens = _SCAN.findall(text)
    if "YY" in tokens and not two_digit_years:
        raise ValueError(f"format '{text}' has two-digit years; write two_digit_years: true if that is meant")
    centuries = _CENTURIES if "YY" in tokens else (("", ""),)
    return [_compile(text, tokens, century, year) for century, year in centuries]


def _compile(text: str, tokens: list[str], century: str, short_year: str) -> Pattern:
    regex = ""
    groups: dict[str, int] = {}
    for token in tokens:
        name, expression = ("year", short_year) if token == "YY" else _TOKENS.get(token, (None, None))
        if name is None:
            if token.isalpha() and token.isascii() and token != "T":
                raise ValueError(f"format '{text}': unknown token '{token}'; tokens are YY {' '.join(_TOKENS)}")
            regex += re.escape(token)
            continue
        if name in groups:
            raise ValueError(f"format '{text}' has the {name} twice")
        groups[name] = len(groups) + 1
        regex += f"({expression})"
    _check_parts(text, set(groups))
    return Pattern(rf"^{regex}\z", groups, century)


def _check_parts(text: str, parts: set[str]) -> None:
    if not {"year", "day"} <= parts or len(parts & {"month", "name"}) != 1:
        raise ValueError(f"format '{text}' needs exactly one year, month and day")
    for part, needs in (("minute", "hour"), ("second", "minute"), ("fraction", "second")):
        if part in parts and needs not in parts:
            raise ValueError(f"format '{text}' has a {part} but no {needs}")


@dataclass(frozen=True)
class Formats:
    """The formats of one field, split by what they tell: local time (naive) or an instant."""

    iso: bool
    epochs: tuple[str, ...]
    patterns: tuple[Pattern | None, ...]
    epochs_first: bool

    @property
    def instants(self) -> bool:
        return self.iso or bool(self.epochs)

    @property
    def naive(self) -> bool:
        return bool(self.patterns)


def compile_formats(written: tuple[str, ...], two_digit_years: bool) -> Formats:
    """All formats of a field in their order; ValueError names the first that is wrong.

    ``patterns`` holds None in the place of ``iso``. Epochs are tried before local times when the list begins
    with one: it matters only for patterns of digits alone, such as YYYYMMDD.
    """
    written = written or DEFAULT_FORMATS
    patterns: list[Pattern | None] = []
    for text in written:
        if text == "iso":
            patterns.append(None)
        elif text.startswith("epoch") and text not in EPOCHS:
            raise ValueError(f"unknown format '{text}'; epochs are {', '.join(EPOCHS)}")
        elif text not in EPOCHS:
            patterns += compile_pattern(text, two_digit_years)
    epochs = tuple(name for name in EPOCHS if name in written)
    return Formats("iso" in written, epochs, tuple(patterns), written[0] in EPOCHS)


def parse_naive(text: StringValue, formats: Formats) -> TimestampValue:
    """The local time a text says by the first fitting format without a zone, else null."""
    return ibis.coalesce(*(_iso(text) if item is None else _by_pattern(text, item) for item in formats.patterns))


def parse_instant(text: StringValue, formats: Formats) -> TimestampValue:
    """The instant (naive UTC) of an ISO text with a zone or of an epoch number, else null."""
    found = [_zoned(text)] if formats.iso else []
    if formats.epochs:
        found.append(_epoch(text, formats.epochs))
    return ibis.coalesce(*found)


def _iso(text: StringValue) -> TimestampValue:
    local = text.left(_MICROSECOND_LENGTH).try_cast("timestamp")
    return text.re_search(_ISO_NAIVE).ifelse(local, ibis.null("timestamp"))


def _zoned(text: StringValue) -> TimestampValue:
    local = text.re_replace(_ZONE, "").left(_MICROSECOND_LENGTH).try_cast("timestamp")
    zone = text.re_extract(_ZONE, 0)
    digits = zone.re_replace("[^0-9]", "").rpad(4, "0").try_cast("int64")
    seconds = digits // 100 * 3600 + digits % 100 * 60
    east = zone.contains("-").ifelse(-seconds, seconds)
    return text.re_search(_ISO_ZONED).ifelse(local - east.as_interval("s"), ibis.null("timestamp"))


def _by_pattern(text: StringValue, pattern: Pattern) -> TimestampValue:
    iso = text.re_replace(pattern.regex, pattern.iso)
    if "name" in pattern.groups:
        name = text.re_extract(pattern.regex, pattern.groups["name"]).upper()
        # An unknown name is found at -1, and so becomes no month at all.
        position = ibis.literal(_MONTHS).find(name)
        month = (position % 3 == 0).ifelse((position // 3 + 1).cast("string"), ibis.literal("?"))
        iso = iso.replace("--", ibis.literal("-").concat(month, "-"))
    return text.re_search(pattern.regex).ifelse(iso.try_cast("timestamp"), ibis.null("timestamp"))


def _epoch(text: StringValue, units: tuple[str, ...]) -> TimestampValue:
    whole, broken = [], []
    shorter = 0
    for unit in units:
        longest = EPOCHS[unit]
        digits = rf"^-?\d{{{shorter + 1},{longest}}}"
        shorter = longest
        each = _MICROSECONDS[unit]
        exact = text.try_cast("decimal(30,6)") * ibis.literal(each, type="decimal(7,0)")
        whole.append((text.re_search(rf"{digits}\z"), text.try_cast("int64") * each))
        broken.append((text.re_search(rf"{digits}\.\d+\z"), exact.try_cast("decimal(37,0)").try_cast("int64")))
    elapsed = ibis.cases(*whole, *broken, else_=ibis.null("int64"))
    return ibis.timestamp("1970-01-01 00:00:00") + elapsed.as_interval("us")
