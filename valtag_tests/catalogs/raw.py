"""The raw tables of a starter pack, cleaned in pandas by nothing but their own look: a second opinion."""

import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd

UNTIL = pd.Timestamp("2026-06-30")
MISSING = {"", "无", "NULL", "-", "未知"}
_TIMES = ("%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y-%m-%dT%H:%M:%S")
_UNITS = {"元": 1.0, "分": 0.01}


def normal(text: str) -> str:
    """Half width, trimmed, upper case."""
    return unicodedata.normalize("NFKC", text).strip().upper()


def read_raw(file: Path, person: str, time: str | None = None, key: list[str] | None = None) -> pd.DataFrame:
    """The rows of a raw table: ``person`` normalised, ``time`` read or the row dropped, each ``key`` once."""
    rows = pd.read_csv(file, dtype=str, keep_default_na=False)
    rows["person"] = rows[person].map(normal)
    if time is not None:
        read = pd.Series(pd.NaT, index=rows.index, dtype="datetime64[ns]")
        for form in _TIMES:
            read = read.fillna(pd.to_datetime(rows[time], format=form, errors="coerce"))
        rows = rows.assign(time=read).dropna(subset="time")
    return rows.drop_duplicates(subset=key or ["person"])


def money(rows: pd.DataFrame, column: str) -> pd.Series:
    """Amounts in 元, to the cent."""
    return (rows[column].astype(float) * rows["单位"].map(_UNITS)).round(2)


def half_up(values: pd.Series, digits: int) -> pd.Series:
    """Rounded half away from zero, as people do it; pandas rounds halves to the even digit."""
    scaled = values.abs() * 10**digits
    return np.sign(values) * np.floor(scaled + 0.5 + 1e-7) / 10**digits


def days_since(rows: pd.DataFrame, how: str = "max") -> pd.Series:
    """Days from each person's last (``max``) or first (``min``) row to the as-of date."""
    return (UNTIL - rows.groupby("person")["time"].agg(how).dt.normalize()).dt.days
