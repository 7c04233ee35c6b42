"""What is wrong with a published snapshot's files. Their names and sizes are known, so looking costs no reading."""

from valtag_assets.warehouse.manifest import DETAILS
from valtag_assets.warehouse.snapshot import Snapshot

REMEDY = "restore it from a backup, or run again: the table is made anew"


def damage(snapshot: Snapshot) -> str | None:
    """The first file that is not as it was published, in words; None for a sound snapshot."""
    for part, file in zip(snapshot.parts, snapshot.files, strict=True):
        try:
            size = file.stat().st_size
        except OSError as error:
            return f"{file} can't be read ({error.strerror}): {REMEDY}"
        if size != part.bytes:
            return f"{file} has {size} bytes and had {part.bytes} when it was published: {REMEDY}"
    if sum(part.rows for part in snapshot.parts) != snapshot.rows:
        return f"{snapshot.files[0].parent / DETAILS} names parts of other rows than the manifest: {REMEDY}"
    return None
