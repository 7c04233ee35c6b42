"""What every parcel tells beside its fields."""

from typing import Any

from valtag_assets.delivery.message import Parcel


def about(parcel: Parcel) -> dict[str, Any]:
    """The names of ``spec.destination.ABOUT`` with their values, as JSON has them."""
    message = parcel.message
    return {
        "person_id": message.person_id,
        "message_key": message.key,
        "operation": message.operation,
        "origin": message.origin,
        "step": message.step,
        "as_of": message.as_of.isoformat() if message.as_of else None,
        "version": message.version,
    }
