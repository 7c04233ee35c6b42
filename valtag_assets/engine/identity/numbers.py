"""The number of a node: its kind's rank in the upper bits, below them a hash of its key.

So texts need not be looked up or sorted before persons are found. That two nodes have one number is unlikely, and
whoever makes nodes must look for it: by another ``seed`` all have others. The two engines hash differently.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

# The bits of a number that is positive as an int64.
WIDTH = 63


@dataclass(frozen=True)
class Numbers:
    """The numbers of nodes of so many ``kinds``, by the hash of that ``seed``."""

    kinds: int
    seed: int = 0

    @property
    def _bits(self) -> int:
        return WIDTH - self.kinds.bit_length()

    def of(self, rank: int, key: ir.StringValue) -> ir.IntegerValue:
        """The number of a key's first epoch."""
        text = key + f"|{self.seed}" if self.seed else key
        return self._low(text.hash()) + (rank << self._bits)

    def later(self, number: ir.IntegerValue, since: ir.DateValue) -> ir.IntegerValue:
        """The number of the epoch that began ``since``, of the key whose first has that ``number``."""
        return since.isnull().ifelse(number, number ^ self._low((since.cast("string") + f"|{self.seed}").hash()))

    def is_of(self, ranks: Iterable[int], number: ir.IntegerValue) -> ir.BooleanValue:
        """Whether a node is of one of these kinds."""
        spans = [(rank << self._bits, ((rank + 1) << self._bits) - 1) for rank in sorted(ranks)]
        return ibis.or_(*(number.between(first, last) for first, last in spans), False)

    def same_kind(self, one: ir.IntegerValue, other: ir.IntegerValue) -> ir.BooleanValue:
        """Whether two nodes are of one kind."""
        return (one ^ other) < (1 << self._bits)

    def _low(self, found: ir.IntegerValue) -> ir.IntegerValue:
        return found & ((1 << self._bits) - 1)
