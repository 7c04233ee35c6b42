"""Secrets: taken from the environment when they are used, and kept nowhere."""

import secrets
from collections.abc import Mapping
from pathlib import Path

from valtag_assets.spec.mistake import Mistake
from valtag_assets.warehouse import durable


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
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        aside = file.with_suffix(".new")
        aside.touch(mode=0o600)
        durable.write(aside, secrets.token_hex(16))
        aside.replace(file)
    return file.read_text(encoding="ascii")
