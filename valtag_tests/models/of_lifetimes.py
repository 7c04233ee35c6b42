"""What lifetimes 0.11.3 computes, for test_lifetimes.py. In an environment with lifetimes and "setuptools<81":

cd valtag_tests/models; python of_lifetimes.py cdnow.csv > of_lifetimes.json
"""

import json
import sys
from pathlib import Path

HISTORIES = [(0, 0, 38.86), (0, 0, 1), (1, 1.71, 38.86), (1, 30, 31), (2, 30.43, 38.86), (7, 29.43, 38.86)]
HISTORIES += [(26, 30.86, 31), (26, 10, 31), (12, 5, 60)]
PARAMETERS = {
    "bg_nbd": {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426},
    "mbg_nbd": {"r": 0.525, "alpha": 6.183, "a": 0.891, "b": 1.614},
    "pareto_nbd": {"r": 0.553, "alpha": 10.578, "s": 0.606, "beta": 11.669},
}
HORIZON = 39.0
SPEND = {"p": 6.25, "q": 3.74, "gamma": 15.44}
SPENT = [(1, 10.0), (3, 25.5), (20, 80.0)]


def main() -> None:
    import lifetimes
    import numpy as np
    import pandas as pd

    rows = np.loadtxt(Path(sys.argv[1]), delimiter=",", skiprows=1)
    history = rows[:, 1], rows[:, 2] / 7, rows[:, 3] / 7
    fitters = {
        "bg_nbd": lifetimes.BetaGeoFitter,
        "mbg_nbd": lifetimes.ModifiedBetaGeoFitter,
        "pareto_nbd": lifetimes.ParetoNBDFitter,
    }
    x, t_x, T = (np.array(column, dtype=float) for column in zip(*HISTORIES, strict=True))
    found: dict[str, dict[str, object]] = {}
    for model, fitter in fitters.items():
        fitted = fitter().fit(*history)
        given = fitter()
        given.params_ = pd.Series(PARAMETERS[model])
        given.predict = None
        expected = given.conditional_expected_number_of_purchases_up_to_time(HORIZON, x, t_x, T)
        found[model] = {
            "fitted": {name: float(value) for name, value in fitted.params_.items()},
            "alive": np.asarray(given.conditional_probability_alive(x, t_x, T)).tolist(),
            "expected": np.asarray(expected).tolist(),
        }
    repeat = rows[:, 1] > 0
    spend = lifetimes.GammaGammaFitter()
    spend.fit(rows[repeat, 1], rows[repeat, 4] / 100 / rows[repeat, 1])
    fitted = {"gamma" if name == "v" else name: float(value) for name, value in spend.params_.items()}
    spend.params_ = pd.Series({"p": SPEND["p"], "q": SPEND["q"], "v": SPEND["gamma"]})
    n, mean = (np.array(column, dtype=float) for column in zip(*SPENT, strict=True))
    values = np.asarray(spend.conditional_expected_average_profit(n, mean)).tolist()
    found["spend"] = {"fitted": fitted, "expected": values}
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
