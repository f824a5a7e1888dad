"""Two imports faster than Python's own: peewee without its drivers, and ccxt's Kraken alone.

What they made is kept from the garbage collector, which would look through all of it between two requests: 36 ms of a
run with 500 positions, before its first sell (`benchmarks --only first-sell`).

CPU time in a new process, the median of nine on a busy machine with two cores:

    import peewee, where psycopg is installed        190 ms; here 64 ms
    import ccxt, for its class `kraken`              485 ms; here 185 ms

Guarded by `test_quick_commands_take_less_than_three_times_their_two_libraries` and
`test_what_must_be_quick_imports_nothing_heavy` in `tests/cli/test_start.py`; measured by `benchmarks --only start`.
"""

import gc
import sys
from importlib import util
from typing import Any


def import_peewee_without_drivers() -> None:
    """Import peewee as if no PostgreSQL driver were installed, because it imports all that it finds.

    SQLite needs none, and `store/server/postgres.py` imports its own. None in sys.modules means: not installed.
    """
    drivers = [name for name in ("psycopg", "psycopg2", "psycopg2cffi") if name not in sys.modules]
    sys.modules.update(dict.fromkeys(drivers))  # type: ignore[arg-type]
    try:
        import peewee  # noqa: F401
    finally:
        for name in drivers:
            del sys.modules[name]


def import_kraken_alone() -> Any:
    """ccxt's class `kraken`, without the hundred other exchanges that `import ccxt` loads.

    `ccxt/__init__.py` is not run for this. A later `import ccxt`, for example in an agent, loads the whole package; if
    it is loaded already, that is used.
    """
    if "ccxt" in sys.modules:
        import ccxt

        return ccxt.kraken
    if "ccxt.kraken" in sys.modules:
        return sys.modules["ccxt.kraken"].kraken
    spec = util.find_spec("ccxt")
    if spec is None:
        raise ImportError("ccxt is not installed")
    sys.modules["ccxt"] = util.module_from_spec(spec)  # an empty package: finds its modules, has run nothing
    try:
        import ccxt.kraken
    finally:
        del sys.modules["ccxt"]
    gc.freeze()  # modules live as long as the process
    return ccxt.kraken.kraken
