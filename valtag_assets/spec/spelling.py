"""What a misspelt word most probably means."""

from collections.abc import Iterable
from difflib import SequenceMatcher

LONGEST_WORD = 200


class Spellings:
    """Words among which to look for the one that a misspelt word means, fast even among very many.

    The measure is difflib's ratio; it is worked out only for words that may beat the best so far. What a ratio
    can reach at most follows from the characters two words share, each counted as often as it occurs: one bit
    stands for one occurrence, so that is one AND.
    """

    def __init__(self, known: Iterable[str]) -> None:
        self._bits: dict[tuple[str, int], int] = {}
        self._known = [(word, self._characters(word)) for word in known if len(word) <= LONGEST_WORD]

    def closest(self, word: str) -> str | None:
        """The word most like ``word``, or None where nothing is near. Nobody means a name by a very long word."""
        if len(word) > LONGEST_WORD:
            return None
        # A title of two or three characters has at most a ratio of 0.5–0.67 to itself with one character wrong.
        ratio, nearest = 0.5 if len(word) <= 3 else 0.6, None
        own = self._characters(word)
        bounds = [
            (2 * (own & other).bit_count() / (len(word) + len(known) or 1), known) for known, other in self._known
        ]
        matcher = SequenceMatcher(b=word)
        for bound, known in sorted((item for item in bounds if item[0] >= ratio), reverse=True):
            if bound < ratio:
                break
            matcher.set_seq1(known)
            found = matcher.ratio()
            if found > ratio or (found == ratio and known > (nearest or "")):
                ratio, nearest = found, known
        return nearest

    def _characters(self, word: str) -> int:
        """A set of the occurrences of characters in ``word``: the first a, the second a, the first b, …"""
        seen: dict[str, int] = {}
        found = 0
        for character in word:
            seen[character] = seen.get(character, 0) + 1
            found |= self._bits.setdefault((character, seen[character]), 1 << len(self._bits))
        return found
