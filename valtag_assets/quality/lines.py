"""What a small table of figures must satisfy: each line once, and the columns it is known to have."""

from collections.abc import Mapping

from valtag_assets.expression.resolved import Resolved
from valtag_assets.quality.column import Column, present
from valtag_assets.quality.expectation import UNIQUE, Expectation
from valtag_assets.quality.table import schema
from valtag_assets.spec.block import Title
from valtag_assets.spec.catalog import Entry
from valtag_assets.spec.types import DataType


def line_expectations(
    resolved: Resolved, entry: Entry, key: str, title: Title, columns: Mapping[str, DataType]
) -> list[Expectation]:
    """Every line has a ``key``, of that ``title``, and no other line has it; ``columns`` are those of the table."""
    column = Column(key, columns[key], title, key, "table", "values", entry, (), resolved.catalog.root, {})
    once = column.expectation("unique", UNIQUE, {}, Title(zh="每行一次", en="each line once"))
    return [present(column), once, *schema(entry, resolved, columns)]
