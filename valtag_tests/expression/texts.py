"""Random well-typed expressions, as text."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")

_LETTERS = "ab%_\\'\" 上😀-;"


class Writer:
    """Writes one random expression; ``depth`` is how many levels may still follow."""

    def __init__(self, draw: Callable[[Any], Any]) -> None:
        self._draw = draw

    def _one(self, choices: Sequence[T]) -> T:
        return self._draw(st.sampled_from(choices))  # type: ignore[no-any-return]

    def _pick(self, depth: int, simple: Sequence[str], ways: Sequence[Callable[[], str]]) -> str:
        """One of the simple texts, or, where levels are left, one of the ways to build on others."""
        if depth <= 0 or self._one([False, False, False, True]):
            return self._one(simple)
        return self._one(ways)()

    def any(self, depth: int) -> str:
        kinds = [self.condition, self.integer, self.exact, self.floating, self.text, self.day, self.moment]
        return self._one(kinds)(depth)

    def condition(self, depth: int) -> str:
        simple = ["vip", "true", "false", "city = '上海'", "city not in ('北京', '广州')"]
        below = depth - 1
        finds = self._one(["contains", "starts_with", "ends_with"])
        return self._pick(
            depth,
            simple,
            [
                lambda: self._joined(self._one(["and", "or"]), [self.condition(below) for _ in range(3)]),
                lambda: f"not ({self.condition(below)})",
                lambda: self._joined(self._one(["=", "!="]), [self.condition(below), self.condition(below)]),
                lambda: self._compared(below),
                lambda: self._compared(below),
                lambda: f"({self.number(1)}) {self._not()} between {self.number(0)} and {self.number(0)}",
                lambda: f"({self.number(1)}) {self._not()} in ({self._digits()}, {self._digits()})",
                lambda: f"({self.any(below)}) is {self._not()} null",
                lambda: f"({self.text(below)}) {self._not()} like {self._pattern()}",
                lambda: f"{finds}({self.text(1)}, {self.text(1)})",
                lambda: f"has(brands, {self._one(['name', 'lower(city)', repr('a'), repr('茅台')])})",
                lambda: self._chosen(self.condition, below),
            ],
        )

    def integer(self, depth: int) -> str:
        below = depth - 1
        part = self._one(["year", "month", "day", "weekday", "days_since", "days_to_anniversary", "years_since"])
        return self._pick(
            depth,
            ["age", "orders", "3", "0", "-2", "size(brands)", "2147483647"],
            [
                lambda: self._joined(self._one(["+", "-", "//", "%"]), [self.integer(below), self.integer(below)]),
                lambda: f"({self.integer(below)}) * {self._one(['3', '-1', 'orders'])}",
                lambda: f"-({self.integer(below)})",
                lambda: f"abs({self.integer(below)})",
                lambda: f"{self._one(['round', 'floor', 'ceil'])}({self._one([self.exact, self.floating])(0)})",
                lambda: f"{self._one(['round', 'floor', 'ceil'])}({self.exact(below)})",
                lambda: f"length({self.text(below)})",
                lambda: f"{part}({self._one([self.day, self.moment])(1)})",
                lambda: f"hour({self.moment(1)})",
                lambda: f"days_between({self.moment(1)}, {self.day(1)})",
                lambda: f"{self._one(['least', 'greatest'])}({self.integer(below)}, {self.integer(below)})",
                lambda: self._chosen(self.integer, below),
            ],
        )

    def exact(self, depth: int) -> str:
        """Decimals, and mixtures of decimals and integers."""
        below = depth - 1
        other = self._one([self.exact, self.integer])
        return self._pick(
            depth,
            ["spend", "0.5", "-1.25", "10.005", "0.001"],
            [
                lambda: self._joined(self._one(["+", "-"]), [self.exact(below), other(0)]),
                lambda: self._joined("*", [self.exact(0), other(0)]),
                lambda: f"-({self.exact(below)})",
                lambda: f"abs({self.exact(below)})",
                lambda: f"round({self.exact(below)}, {self._one('0125')})",
                lambda: f"{self._one(['least', 'greatest', 'coalesce'])}({self.exact(below)}, {other(0)})",
                lambda: self._chosen(self.exact, below),
            ],
        )

    def floating(self, depth: int) -> str:
        below = depth - 1
        return self._pick(
            depth,
            ["share", "1e0", "2.5e-1", "-1e3"],
            [
                lambda: self._joined(self._one(["+", "-", "*", "/"]), [self.floating(below), self.number(0)]),
                lambda: self._joined("/", [self.integer(below), self.exact(0)]),
                lambda: f"-({self.floating(below)})",
                lambda: f"round({self.floating(below)}, {self._one('012')})",
                lambda: f"{self._one(['least', 'greatest'])}({self.floating(below)}, {self.number(0)})",
                lambda: self._chosen(self.floating, below),
            ],
        )

    def text(self, depth: int) -> str:
        below = depth - 1
        return self._pick(
            depth,
            ["name", "trim(city)", self._quoted()],
            [
                lambda: f"{self._one(['lower', 'upper', 'trim'])}({self.text(below)})",
                lambda: f"concat({self.text(below)}, {self.text(below)}, {self.text(below)})",
                lambda: f"substring({self.text(below)}, {self._one('123')}, {self._one('012')})",
                lambda: f"{self._one(['least', 'greatest'])}({self.text(below)}, {self.text(below)})",
                lambda: self._chosen(self.text, below),
            ],
        )

    def number(self, depth: int) -> str:
        return "(" + self._one([self.integer, self.exact, self.floating])(depth) + ")"

    def day(self, depth: int) -> str:
        simple = ["born", "as_of()", "date('2024-02-29')", "date(paid_at)"]
        return self._pick(depth, simple, [lambda: self._chosen(self.day, depth - 1)])

    def moment(self, depth: int) -> str:
        simple = ["paid_at", "timestamp('2024-02-29 23:59:59.000001')"]
        return self._pick(depth, simple, [lambda: self._chosen(self.moment, depth - 1)])

    def _chosen(self, write: Callable[[int], str], depth: int) -> str:
        """The functions that choose between values of one type."""
        one, other = write(depth), write(depth)
        way = self._one(
            [
                "if({c}, {one}, {other})",
                "coalesce({one}, {other}, {one})",
                "nullif({one}, {other})",
                "case when {c} then {one} when {d} then {other} end",
                "case when {c} then null else {one} end",
            ]
        )
        return way.format(one=one, other=other, c=self.condition(depth), d=self.condition(0))

    def _compared(self, depth: int) -> str:
        kind = self._one([self.number, self.number, self.text, self.day, self.moment])
        left, right = kind(depth), kind(depth)
        if kind in (self.day, self.moment):
            paid = [("paid_at", other) for other in (self.day(1), "'2024-06-30 08:01'", "'2024-02-29'")]
            left, right = self._one([(left, right), ("born", "'2024-07-01'"), *paid])
        return self._joined(self._one(["=", "!=", "<", "<=", ">", ">="]), [left, right])

    def _joined(self, operator: str, parts: list[str]) -> str:
        return f" {operator} ".join(f"({part})" for part in parts)

    def _not(self) -> str:
        return self._one(["", "not"])

    def _digits(self) -> str:
        return self._one(["0", "7", "-7", "1.25", "-0.01", "5e-1"])

    def _quoted(self) -> str:
        value: str = self._draw(st.text(_LETTERS, max_size=4))
        return "'" + value.replace("'", "''") + "'"

    def _pattern(self) -> str:
        pieces = st.sampled_from(["%", "_", r"\%", r"\_", r"\\", "a", "上", "😀", "''", "."])
        return "'" + "".join(self._draw(st.lists(pieces, max_size=4))) + "'"


@st.composite
def expressions(draw: Callable[[Any], Any]) -> str:
    """Conditions and values of every type, up to three levels deep."""
    return Writer(draw).any(3)


@st.composite
def conditions(draw: Callable[[Any], Any]) -> str:
    return Writer(draw).condition(3)
