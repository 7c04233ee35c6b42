"""Fit and score of customers side by side: ``python -m valtag_tests.bench.ltv --customers 1000000 --venv PATH``.

Each contender does the same work in a process of its own (ltv_work.py): ours in this environment, the libraries in
that of PATH, which is made with ``--make lifetimes`` or ``--make pymc-marketing`` where it does not exist.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from valtag_assets.models.orders import given
from valtag_assets.models.simulate import simulate
from valtag_tests.bench import ltv_work
from valtag_tests.bench.process import WorkFailed, machine, measured_command, write_json

WORK = Path(ltv_work.__file__)
PACKAGES = {"lifetimes": ["lifetimes==0.11.3", "setuptools<81"], "pymc-marketing": ["pymc-marketing"]}
TRUTH = given("mbg_nbd", r=0.525, alpha=6.183, a=0.891, b=1.614)
SPEND = {"p": 6.25, "q": 3.74, "gamma": 15.44}


def customers(many: int, into: Path) -> Path:
    """Two years of customers, who came on any day, with the mean value of their repeat orders; times in weeks."""
    if not into.exists():
        draw = np.random.default_rng(1)
        of = simulate(TRUTH, draw.integers(7, 730, many) / 7, seed=2)
        days = np.where(of.x > 0, np.maximum(np.ceil(of.t_x * 7), 1), 0)
        own = draw.gamma(SPEND["q"], 1 / SPEND["gamma"], many)
        shape = SPEND["p"] * np.maximum(of.x, 1)
        mean = np.where(of.x > 0, draw.gamma(shape, 1 / own) / np.maximum(of.x, 1), 0)
        into.parent.mkdir(parents=True, exist_ok=True)
        np.savez(into, x=of.x, t_x=np.minimum(days / 7, of.T), T=of.T, mean=mean)
    return into


def contest(name: str, python: Path, rows: Path) -> dict[str, Any]:
    """CPU seconds of the parts and of the whole process."""
    figures = rows.with_name(f"{name}.txt")
    script = f"exec {python} -W ignore {WORK} {name} {rows} {rows.with_name(f'{name}.npz')} > {figures}"
    try:
        cost = measured_command(["bash", "-c", script])
    except WorkFailed as failed:
        return {"contender": name, "refused": str(failed)[-300:]}
    parts = json.loads(figures.read_text().rpartition("figures ")[2])
    return {"contender": name, **parts, "work": round(parts["fit"] + parts["score"], 2), **cost.to_json()}


def apart(rows: Path, name: str) -> dict[str, Any]:
    """Parameters of both, and how far the scores lie apart at the median and at most, relative to ours."""
    with np.load(rows.with_name("valtag.npz")) as ours, np.load(rows.with_name(f"{name}.npz")) as theirs:
        found: dict[str, Any] = {"parameters": theirs["parameters"].round(4).tolist()}
        for score in ("alive", "orders", "value", "worth"):
            distance = np.abs(theirs[score] - ours[score]) / np.maximum(ours[score], 1e-6)
            found[score] = [float(f"{quantile:.2g}") for quantile in np.quantile(distance, [0.5, 1])]
    return found


def environment(folder: Path, packages: list[str]) -> Path:
    """The Python of the environment, which is made where it is missing and wanted."""
    python = folder / "bin" / "python"
    if packages and not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--customers", type=int, default=100_000)
    options.add_argument("--against", choices=PACKAGES, nargs="*", default=["lifetimes"])
    options.add_argument("--venv", type=Path, help="environment with the libraries; only ours without it")
    options.add_argument("--make", choices=PACKAGES, nargs="*", default=[], help="install these into it")
    options.add_argument("--into", type=Path, default=Path("data/bench/ltv"))
    chosen = options.parse_args()
    rows = customers(chosen.customers, chosen.into.resolve() / str(chosen.customers) / "customers.npz")
    found = [contest("valtag", Path(sys.executable), rows)]
    if chosen.venv:
        python = environment(chosen.venv.absolute(), [package for name in chosen.make for package in PACKAGES[name]])
        for name in chosen.against:
            found.append(contest(name, python, rows))
            if "refused" not in found[-1]:
                found[-1] |= {
                    "times ours": round(found[-1]["work"] / found[0]["work"], 1),
                    "apart": apart(rows, name),
                }
    write_json(rows.with_name("report.json"), {"machine": machine(), "customers": chosen.customers, "found": found})
    print(rows.with_name("report.json").read_text())


if __name__ == "__main__":
    main()
