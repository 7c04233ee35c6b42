"""Expectations as a Great Expectations suite.

Importing Great Expectations takes seconds, so it happens only where a suite is made or run.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from valtag_assets.quality.expectation import ROWS, Expectation

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

_SEVERITIES = {"error": "critical", "warn": "warning"}


def import_gx() -> Any:
    """The great_expectations package; its usage statistics are off before it starts."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations

    return great_expectations


def to_suite(expectations: Sequence[Expectation], name: str = "valtag") -> "ExpectationSuite":
    """The suite of ``expectations``; ``suite.to_json_dict()`` is a file any Great Expectations project reads.

    Laws over tags of other tables name those tables by their key (``"tags/attribute"``).
    """
    # Made whole: the suite's add methods replace an expectation of the same kind on the same column.
    gx = import_gx()
    configurations = [_configuration(item) for item in expectations]
    suite: ExpectationSuite = gx.ExpectationSuite(name=name, expectations=configurations)
    return suite


def _configuration(item: Expectation) -> Any:
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.expectations.metadata_types import FailureSeverity

    # A query names its columns itself; valtag keeps the one it is about beside it.
    column = {} if item.column is None or item.kind == ROWS else {"column": item.column}
    return ExpectationConfiguration(
        type=item.kind,
        kwargs={**column, **item.arguments},
        severity=FailureSeverity(_SEVERITIES[item.severity]),
        meta={
            "check": item.check,
            "title": {"zh": item.title.zh, "en": item.title.en},
            "rule": item.rule,
            "holds": item.holds,
        },
    )
