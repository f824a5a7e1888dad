"""All that botctl knows between two runs: one database."""

import sys


def _import_peewee_alone() -> None:
    """peewee loads every PostgreSQL driver it finds, which takes longer than all else of a start.

    A run on SQLite needs none, and `server.py` fetches its own. None in sys.modules means: there is none.
    """
    drivers = [name for name in ("psycopg", "psycopg2", "psycopg2cffi") if name not in sys.modules]
    sys.modules.update(dict.fromkeys(drivers))  # type: ignore[arg-type]
    try:
        import peewee  # noqa: F401
    finally:
        for name in drivers:
            del sys.modules[name]


_import_peewee_alone()
