"""Errors told without the values they are about: what an engine can't convert may be somebody's phone number."""

import traceback

import duckdb

from valtag_assets.engine.reading.origin import SourceError
from valtag_assets.spec.masking import without_values
from valtag_assets.spec.mistake import Mistake
from valtag_assets.warehouse.errors import WarehouseError

# Their messages name files, tables and columns, which valtag wrote, or the system.
_NAMING = (Mistake, SourceError, WarehouseError, OSError, duckdb.IOException, duckdb.CatalogException)
_NAMING_TOO = (duckdb.BinderException, duckdb.ParserException, duckdb.OutOfMemoryException)


def impersonal(error: BaseException) -> str:
    """The kind of the error and its first line, without what is quoted in it and without long numbers.

    Errors that name files, tables and columns, and no values, are told as they are.
    """
    kind, text = type(error).__name__, str(error)
    if isinstance(error, _NAMING + _NAMING_TOO):
        return f"{kind}: {text}"
    return f"{kind}: {without_values(text)}"


def impersonal_trace(error: BaseException) -> str:
    """Where the error came from, and what it says without values; the same of the errors it came from."""
    told, found = [], set[int]()
    while error is not None and id(error) not in found:
        found.add(id(error))
        frames = "".join(traceback.format_tb(error.__traceback__))
        told.append(f"Traceback (most recent call last):\n{frames}{impersonal(error)}")
        following = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if following is None:
            break
        error = following
    return "\n\nwhich came of:\n".join(told)
