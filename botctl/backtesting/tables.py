"""Numbers by symbol and bar, in a form that interpreted and compiled code share."""

from typing import Protocol


class Table[Number](Protocol):
    """Numbers by `table[symbol, bar]`; a row of its own would be one more object with references to count."""

    def __getitem__(self, index: tuple[int, int], /) -> Number: ...


class WritableTable[Number](Table[Number], Protocol):
    @property
    def shape(self) -> tuple[int, ...]: ...

    def __setitem__(self, index: tuple[int, int], number: Number, /) -> None: ...


def unsigned_index(index: int) -> int:
    """An index that is never counted from the end. Compiled, it is an unsigned integer."""
    return index
