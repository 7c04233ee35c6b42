"""Secrets: taken from the environment when they are used, and kept nowhere."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from valtag_assets.spec.mistake import Mistake


def secret(variable: str, environment: Mapping[str, str], where: str) -> str:
    """The value of an environment variable. Mistake names the variable that is not set, and who needs it."""
    value = environment.get(variable)
    if not value:
        raise Mistake(f"{where}: the environment variable {variable} is not set")
    if not value.isprintable():
        raise Mistake(f"{where}: the environment variable {variable} holds a line break, or what can't be printed")
    return value


def own_key(file: Path) -> str:
    """A random text kept in ``file``, made with it: with what is hashed, so that nobody can try all phone numbers."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as made:
            made.write(secrets.token_hex(16))
    except FileExistsError:
        pass
    return file.read_text(encoding="ascii")
