"""The id of the database: it is in the client order ids of its orders, and stays with a copied or restored database."""

import hashlib
import secrets

from botctl.domain.client_order_ids import DATABASE_BITS, format_database_id
from botctl.store import key_value
from botctl.store.models import DatabaseInfo

DATABASE_ID_KEY = "database.id"


def save_new_database_id() -> None:
    """Give a new database its id."""
    key_value.save(DATABASE_ID_KEY, format_database_id(secrets.randbits(DATABASE_BITS)))


def load_database_id() -> str:
    """The id of the open database. One from before there were ids has that of the moment it was created, so that an
    older backup of it has the same; so has one whose stored id can't be read: no sell may wait for it."""
    saved = key_value.load_cached(DATABASE_ID_KEY)
    if saved is not None:
        return saved[0]
    created_at = DatabaseInfo.get().created_at.isoformat()
    digest = hashlib.sha256(created_at.encode()).digest()
    return format_database_id(int.from_bytes(digest[: DATABASE_BITS // 8]))
