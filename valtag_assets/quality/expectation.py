"""One expectation, as valtag keeps it: Great Expectations' vocabulary, and what a failure stops."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from valtag_assets.spec.block import Severity, Title

Holds = Literal["table", "tag", "nothing"]
Shows = Literal["values", "shapes", "nothing"]
"""What a sample tells of the values that broke a check."""

# Kinds beyond the catalog's closed list are Great Expectations' own, by their snake-case names.
BETWEEN = "expect_column_values_to_be_between"
IN_SET = "expect_column_values_to_be_in_set"
NOT_NULL = "expect_column_values_to_not_be_null"
UNIQUE = "expect_column_values_to_be_unique"
COMPOUND_UNIQUE = "expect_compound_columns_to_be_unique"
MEAN = "expect_column_mean_to_be_between"
NON_NULL_SHARE = "expect_column_proportion_of_non_null_values_to_be_between"
ROW_COUNT = "expect_table_row_count_to_be_between"
ROW_COUNT_EQUALS = "expect_table_row_count_to_equal"
COLUMNS = "expect_table_columns_to_match_set"
ROWS = "unexpected_rows_expectation"


@dataclass(frozen=True)
class Expectation:
    """What a table or a column must satisfy.

    ``check`` is a stable ASCII name, unique in the table (``city.values``, ``law.spend_30d_le_total``).
    ``kind`` and ``arguments`` are a Great Expectations expectation and its keyword arguments (without the
    column). ``holds`` is what a failure stops; a warning stops nothing. ``columns`` are the tags a failure
    holds where there is more than one (laws). ``expected`` says what was expected where the arguments don't
    read well. ``measure`` is SQL giving one row (evaluated[, observed]) for kinds whose result lacks it.
    ``shows`` is what samples tell of values: those of public columns; else the shapes of texts and long numbers; of
    personal columns nothing. ``rule`` is ``file:line``.
    ``by_row``: each row breaks it or not by itself, so that the counts of parts of a table add up. ``drift``: a
    stability check's histogram of before.
    """

    check: str
    kind: str
    column: str | None
    arguments: Mapping[str, Any]
    severity: Severity
    holds: Holds
    title: Title
    rule: str
    columns: tuple[str, ...] = ()
    expected: Any = None
    measure: str | None = field(default=None, repr=False)
    shows: Shows = "shapes"
    by_row: bool = False
    drift: Mapping[str, Any] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.severity == "warn" and self.holds != "nothing":
            raise ValueError(f"{self.check}: a warning holds nothing, not the {self.holds}")
        if not self.check.isascii():
            raise ValueError(f"{self.check}: the name of a check is ASCII")

    @property
    def judged(self) -> tuple[str | None, ...]:
        """The columns that get a verdict: the tags of a law, the one column, or None for the table."""
        return self.columns or (self.column,)


def with_unique_names(expectations: Iterable[Expectation]) -> list[Expectation]:
    """The same list, a repeated name numbered from its second use (``city.coverage.2``)."""
    seen: dict[str, int] = {}
    named = []
    for item in expectations:
        seen[item.check] = seen.get(item.check, 0) + 1
        number = seen[item.check]
        named.append(item if number == 1 else replace(item, check=f"{item.check}.{number}"))
    return named
