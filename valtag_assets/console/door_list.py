"""Every way out: what leaves by each command and each route, and which door of access.yaml it goes through."""

from collections.abc import Mapping
from dataclasses import dataclass

from valtag_assets.spec.access import Door


@dataclass(frozen=True)
class Way:
    """What leaves. ``door``: None where that is no value of any person's, or nothing at all."""

    leaves: str
    door: Door | None = None


COMMANDS: Mapping[str, Way] = {
    "show": Way("rows of one table, on the screen", "show"),
    "show --csv, --json": Way("rows of one table, for programs", "export"),
    "broken": Way("rows that broke a table's checks", "show"),
    "segment preview": Way("how many a rule finds, five examples", "preview"),
    "segment why": Way("one person's values in a rule", "select"),
    "segment portrait": Way("an audience's tags against everybody's", "select"),
    "explain": Way("one person's value, down to source rows; why a message was sent", "explain"),
    "trigger log": Way("what triggers decided about one person", "explain"),
    "report": Way("one HTML file: sizes, distributions, reports", "report"),
    "insight": Way("how useful tags are: counts", "report"),
    "effect": Way("what triggers brought: counts", "report"),
    "trigger list": Way("counts of decisions and messages", "report"),
    "trigger show": Way("counts of decisions and messages", "report"),
    "trigger dry-run": Way("how many a trigger would find", "preview"),
    "snapshots": Way("how many rows each version of a table has", "report"),
    "status": Way("how many rows each table has", "report"),
    "ui": Way("the Dagster UI: counts, masked samples, plots", "report"),
    "parity": Way("cells on which two engines differ", "show"),
    "deliver": Way("an audience and its fields, to a destination", "deliver"),
    "outbox": Way("counts of messages, masked ids; messages, when one is sent again", "deliver"),
    "trigger send": Way("messages and their fields, to destinations", "deliver"),
    "identity show": Way("one person's identifiers", "explain"),
    "identity report": Way("how many persons and identifiers there are", "report"),
    "identity suggestions": Way("pairs of persons who may be one, and the fields that are alike", "show"),
    "new tag": Way("how a new tag's values are spread", "preview"),
    "erase": Way("nothing; whom it erases it sees", "erase"),
    "serve": Way("see the routes: each key goes through the door as the service starts", "serve"),
    "inventory": Way("what raw tables hold that the caller can open: they are not of the catalog yet"),
    "run": Way("counts; deliveries go out in the name of their destination's role"),
    "plan": Way("what a run would compute"),
    "check": Way("the catalog's mistakes"),
    "tags": Way("the catalog's tags, and the share of persons that have each"),
    "sql": Way("the catalog's definitions as SQL"),
    "segment rule": Way("a rule in both its forms"),
    "schema": Way("the schema of catalog files"),
    "functions": Way("what expressions may use"),
    "init": Way("a starter catalog with made-up tables"),
    "generate": Way("made-up tables"),
    "vacuum": Way("names of removed snapshots"),
    "repair": Way("names of damaged snapshots"),
    "trigger stop": Way("nothing"),
    "trigger start": Way("nothing"),
    "audit": Way("who went through which door; persons as keyed hashes", "report"),
    "audit verify": Way("whether the audit log is whole"),
}
ROUTES: Mapping[str, Way] = {
    "GET /persons/{person_id}": Way("tags, scores and audiences of one person", "serve"),
    "POST /persons": Way("the same of up to 1,000 persons", "serve"),
    "GET /persons/{person_id}/segments": Way("the audiences of one person", "serve"),
    "GET /segments/{code}/persons/{person_id}": Way("whether one person is in an audience", "serve"),
    "GET /persons/{person_id}/variant/{placement}": Way("what a placement shows one person", "serve"),
    "GET /tags": Way("the catalog's tags, and which are masked"),
    "GET /health": Way("counts of rows, to keys of every brand"),
    "POST /receipts": Way("nothing: it takes in what came of messages"),
}
