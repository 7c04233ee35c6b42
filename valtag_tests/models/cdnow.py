"""The CDNOW sample: 2,357 customers, one tenth of those who first bought at CDNOW in January to March 1997.

``cdnow.csv`` is drawn from the public file CDNOW_sample.txt of Fader and Hardie (brucehardie.com/datasets), as
lifetimes 0.11.3 ships it. Orders of one day are one; times are days since the customer's first order, which the
papers count in weeks of 7 days. To make it again, in an environment with lifetimes:

    cd valtag_tests/models; python cdnow.py SITE_PACKAGES/lifetimes/datasets/CDNOW_sample.txt > cdnow.csv
"""

import csv
import sys
from collections import defaultdict
from datetime import date
from pathlib import Path

import numpy as np

CALIBRATED = date(1997, 9, 30)
COLUMNS = ("customer", "x", "t_x_days", "T_days", "repeat_cents", "first_cents", "holdout_x", "holdout_cents")


def columns() -> dict[str, np.ndarray]:
    """The columns as numbers: calibration to 1997-09-30 (39 weeks), holdout the 39 weeks after."""
    rows = np.loadtxt(Path(__file__).with_name("cdnow.csv"), delimiter=",", skiprows=1)
    return dict(zip(COLUMNS, rows.T, strict=True))


def customers(lines: list[str]) -> list[tuple[int, ...]]:
    """Rows of COLUMNS from lines of: number in the whole file, number in the sample, day, discs, dollars."""
    spent: dict[int, dict[date, int]] = defaultdict(lambda: defaultdict(int))
    for line in lines:
        _, number, day, _, dollars = line.split()
        when = date(int(day[:4]), int(day[4:6]), int(day[6:]))
        spent[int(number)][when] += round(float(dollars) * 100)
    rows = []
    for number, days in sorted(spent.items()):
        first, *repeats = sorted(day for day in days if day <= CALIBRATED)
        later = [day for day in days if day > CALIBRATED]
        last = repeats[-1] if repeats else first
        times = len(repeats), (last - first).days, (CALIBRATED - first).days
        cents = sum(days[day] for day in repeats), days[first]
        rows.append((number, *times, *cents, len(later), sum(days[day] for day in later)))
    return rows


if __name__ == "__main__":
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(COLUMNS)
    out.writerows(customers(Path(sys.argv[1]).read_text().splitlines()))
