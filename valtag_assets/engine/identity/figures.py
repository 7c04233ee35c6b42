"""How identities look in numbers: sizes, how many rows of each source found a person, what was refused."""

from typing import Any

from valtag_assets.engine.identity.tables import IDENTIFIERS, KEYS, identity_table
from valtag_assets.engine.identity.work import Work
from valtag_assets.engine.persons import PERSON

# Persons of more identifiers are counted together.
MOST = 20


def identifier_figures(work: Work) -> dict[str, Any]:
    """``kinds``: usable keys by kind. ``refused``: keys by reason, then kind."""
    table = identity_table(IDENTIFIERS)
    kinds = table.group_by(["kind", "reason"]).aggregate(keys=table.count()).order_by(["kind", "reason"])
    usable: dict[str, int] = {}
    refused: dict[str, dict[str, int]] = {}
    for row in work.rows(kinds):
        found = usable if row["reason"] is None else refused.setdefault(row["reason"], {})
        found[row["kind"]] = row["keys"]
    return {"kinds": usable, "refused": refused}


def key_figures(work: Work) -> dict[str, Any]:
    """``persons``; ``sizes``: how many persons have how many identifiers, as [identifiers, persons], the last of
    MOST or more; ``largest``: the most identifiers of one person."""
    table = identity_table(KEYS)
    sizes = table.group_by(PERSON).aggregate(size=table.count())
    persons = sizes.group_by(sizes["size"].clip(upper=MOST).name("shown")).aggregate(
        persons=sizes.count(), largest=sizes["size"].max()
    )
    rows = work.rows(persons.order_by("shown"))
    return {
        "persons": sum(row["persons"] for row in rows),
        "sizes": [[int(row["shown"]), row["persons"]] for row in rows],
        "largest": max((int(row["largest"]) for row in rows), default=0),
    }
