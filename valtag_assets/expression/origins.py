"""From a tag back to the columns of the company's tables."""

from valtag_assets.expression.resolved import Resolved, ResolvedTag


def source_columns(resolved: Resolved, tag: ResolvedTag) -> set[tuple[str, str]]:
    """Every (source, field) a tag rests on, through the tags it reads."""
    found, waiting, seen = set(tag.fields), list(tag.tags), set()
    while waiting:
        code = waiting.pop()
        if code not in seen:
            seen.add(code)
            found |= resolved.tags[code].fields
            waiting.extend(resolved.tags[code].tags)
    return found


def lineage_texts(resolved: Resolved, tag: ResolvedTag) -> list[str]:
    """The same as sorted texts, ``source.field``."""
    return [f"{source}.{field}" for source, field in sorted(source_columns(resolved, tag))]
