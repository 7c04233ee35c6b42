"""How often and with what luck properties are tried: the same examples each time, or others and more of them."""

import os

from hypothesis import settings

MORE = int(os.environ.get("VALTAG_RANDOM", "1"))
"""How many times as many examples as in the suite. A property that says its own number says it times this."""

# The suite gives the same verdict on the same code; before a release luck may find what it has not.
settings.register_profile("suite", deadline=None, derandomize=True)
settings.register_profile("random", deadline=None, database=None, print_blob=True, max_examples=100 * MORE)


def load() -> None:
    """Take random examples where ``VALTAG_RANDOM`` says how many times as many, else those of the suite."""
    settings.load_profile("random" if "VALTAG_RANDOM" in os.environ else "suite")
