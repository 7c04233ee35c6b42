"""Spans of time as a catalog writes them: 7d, 12h."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator

_DAYS = re.compile(r"([1-9]\d{0,3})d")
_HOURS = re.compile(r"([1-9]\d{0,3})([hd])")


def _number_of_days(written: Any) -> Any:
    """``7d`` as 7."""
    found = _DAYS.fullmatch(written) if isinstance(written, str) else None
    if found is None:
        raise ValueError(f"'{written}': write so many days as 7d")
    return int(found[1])


def _number_of_hours(written: Any) -> Any:
    """``36h`` as 36, ``2d`` as 48."""
    found = _HOURS.fullmatch(written) if isinstance(written, str) else None
    if found is None:
        raise ValueError(f"'{written}': write so many hours or days as 12h or 2d")
    return int(found[1]) * (24 if found[2] == "d" else 1)


Days = Annotated[int, BeforeValidator(_number_of_days, json_schema_input_type=str)]
Hours = Annotated[int, BeforeValidator(_number_of_hours, json_schema_input_type=str)]
