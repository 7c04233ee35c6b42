"""Which columns of a catalog mean the same, whatever they are called and in whichever type they are kept."""

from collections import defaultdict
from dataclasses import replace

from valtag_assets.expression.lineage import meaning
from valtag_assets.expression.resolved import Resolved, ResolvedTag, Window


class Meanings:
    """The columns of ``resolved`` by what they mean: worked out once, since a catalog may have very many."""

    def __init__(self, resolved: Resolved) -> None:
        self._resolved = resolved
        self._alike: dict[str, list[str]] = defaultdict(list)
        self._wider: dict[str, str] = {}
        for code, tag in resolved.tags.items():
            self._alike[_meant(tag)].append(code)
            if tag.aggregate is not None:
                self._wider.setdefault(_without_window(tag), tag.spec.code)

    def twin(self, column: str) -> str | None:
        """Another column that means exactly what ``column`` does, the first there is."""
        alike = self._alike[_meant(self._resolved.tags[column])]
        return next((code for code in alike if code != column), None)

    def wider(self, tag: ResolvedTag) -> str | None:
        """The code of the block that means what ``tag`` does but for the window, if there is one."""
        return None if tag.aggregate is None else self._wider.get(_without_window(tag))


def _meant(tag: ResolvedTag) -> str:
    if tag.aggregate is not None:
        return repr(tag.aggregate)
    assert tag.node is not None
    return repr((tag.master, meaning(tag.node)))


def _without_window(tag: ResolvedTag) -> str:
    assert tag.aggregate is not None
    return repr(replace(tag.aggregate, window=Window("all")))
