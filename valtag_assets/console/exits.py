"""How a command ends."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    WRONG = 1  # the catalog, the input or the command line
    HELD = 2  # a gate held something
    FAULT = 3  # a fault of valtag or of the machine
    STOPPED = 130  # Ctrl-C, as shells count it
