"""The id of the database: it is in the client order ids of its orders, and stays with a copied or restored database."""

import hashlib
import secrets
from datetime import UTC, datetime

from botctl.domain.client_order_ids import DATABASE_BITS, format_database_id
from botctl.store.models import DatabaseInfo


def new_created_at() -> datetime:
    """The moment of creation of a new database, with a random fraction of a second: its id is made of it."""
    return datetime.now(UTC).replace(microsecond=secrets.randbelow(1_000_000))


def load_database_id() -> str:
    """The id of the open database, made of the moment it was created.

    That is written once, by every botctl: an older backup that is migrated again has the same id.
    """
    created_at = DatabaseInfo.get().created_at.astimezone(UTC).isoformat(timespec="microseconds")
    digest = hashlib.sha256(created_at.encode()).digest()
    return format_database_id(int.from_bytes(digest[: DATABASE_BITS // 8]))
