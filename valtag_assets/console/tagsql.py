"""``valtag sql``: the SQL of one tag."""

from datetime import date

from valtag_assets.engine.session import COMPILERS, compile_sql
from valtag_assets.engine.tags import tag_expression
from valtag_assets.expression.origins import lineage_texts
from valtag_assets.graph.setting import Setting
from valtag_assets.spec.mistake import Mistake
from valtag_assets.spec.problem import did_you_mean
from valtag_assets.warehouse.snapshot import TableRef


def tag_sql(setting: Setting, code: str, as_of: date | None, engine: str) -> str:
    """The SQL at ``as_of`` (default: the newest one published, else yesterday) under a comment that explains it."""
    resolved = setting.resolved
    if code not in resolved.tags:
        raise Mistake(f"'{code}' is no tag{did_you_mean(code, list(resolved.tags))}")
    if engine not in COMPILERS:
        raise Mistake(f"'{engine}' is no engine{did_you_mean(engine, list(COMPILERS))}")
    tag = resolved.tags[code]
    if as_of is None:
        served = setting.warehouse.latest(TableRef("tags", tag.category))
        as_of = served.as_of if served is not None and served.as_of is not None else setting.last_as_of()
    notes = [
        f"{code}: {tag.title.zh} · {tag.title.en}",
        f"category {tag.category}, as-of {as_of}, {engine}",
        f"from {', '.join(lineage_texts(resolved, tag)) or 'the population'}",
    ]
    # A title is free text: whatever it holds, it stays inside its comment.
    comment = "\n".join(f"-- {' '.join(note.split())}" for note in notes)
    return f"{comment}\n{compile_sql(tag_expression(resolved, code, as_of), engine, fused=True)}"
