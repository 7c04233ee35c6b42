"""All benches of one size: ``python -m valtag_tests.bench --size 100k [--only build graph day growth catalogs]``.

Figures go to ``<into>/<size>/report.md`` and ``report.json``, part by part, so an interrupted bench keeps them.
"""

import argparse
from pathlib import Path

from valtag_tests.bench.added_day import added_day
from valtag_tests.bench.company import Company
from valtag_tests.bench.growth import catalogs, growth
from valtag_tests.bench.process import machine, write_json
from valtag_tests.bench.report import to_markdown
from valtag_tests.bench.tag_build import contest
from valtag_tests.bench.whole_graph import whole_graph

SIZES = {"100k": 100_000, "1m": 1_000_000, "10m": 10_000_000}
PARTS = ("build", "graph", "day", "growth", "catalogs")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--size", choices=SIZES, default="100k")
    options.add_argument("--only", nargs="*", choices=PARTS, default=[])
    options.add_argument("--contenders", nargs="*", default=[], help="modules of contenders/; all when not given")
    options.add_argument("--into", type=Path, default=Path("data/bench"))
    chosen = options.parse_args()
    persons, folder = SIZES[chosen.size], chosen.into.resolve() / chosen.size
    company = Company.of(folder / "company", persons)
    parts = {
        "build": lambda: contest(company, chosen.contenders),
        "graph": lambda: whole_graph(company),
        # Three years of a day's rows are many: a tenth of the persons shows the same.
        "day": lambda: added_day(folder / "day", min(persons, 1_000_000) // 10),
        "growth": lambda: growth(folder / "growth", min(persons, 1_000_000)),
        "catalogs": catalogs,
    }
    figures = {"size": chosen.size, "machine": machine()}
    for name in chosen.only or PARTS:
        figures[name] = parts[name]()
        write_json(folder / "report.json", figures)
        (folder / "report.md").write_text(to_markdown(figures), encoding="utf-8")
    print((folder / "report.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
