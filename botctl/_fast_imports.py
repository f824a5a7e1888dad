"""The two imports that are made quicker than Python would make them: peewee without its drivers, ccxt's Kraken alone.

What each saves, in CPU time of one cold process, the median of nine on a busy machine with two cores:

    import peewee, where psycopg is installed        190 ms; so 64 ms
    import ccxt, for its class `kraken`              485 ms; so 185 ms

`tests/cli/test_start.py` guards both: `test_quick_commands_take_less_than_three_times_their_two_libraries` what a start
may take, `test_what_must_be_quick_imports_nothing_heavy` what it may load. `benchmarks --only start` measures it.
This module imports nothing of botctl.
"""

import sys
from importlib import util
from typing import Any


def import_peewee_without_drivers() -> None:
    """Load peewee as if no PostgreSQL driver were installed: it imports every one that it finds.

    A run on SQLite needs none, and `store/server.py` imports its own. None in sys.modules means: not installed.
    """
    drivers = [name for name in ("psycopg", "psycopg2", "psycopg2cffi") if name not in sys.modules]
    sys.modules.update(dict.fromkeys(drivers))  # type: ignore[arg-type]
    try:
        import peewee  # noqa: F401
    finally:
        for name in drivers:
            del sys.modules[name]


def import_kraken_alone() -> Any:
    """ccxt's class `kraken`, without the hundred other exchanges that `import ccxt` brings along.

    The package's own file is not run while `ccxt.kraken` is loaded. Whoever imports ccxt afterwards (an agent may) gets
    the whole of it; where ccxt is loaded already, that is used.
    """
    if "ccxt" in sys.modules:
        import ccxt

        return ccxt.kraken
    if "ccxt.kraken" in sys.modules:
        return sys.modules["ccxt.kraken"].kraken
    spec = util.find_spec("ccxt")
    if spec is None:
        raise ImportError("ccxt is not installed")
    sys.modules["ccxt"] = util.module_from_spec(spec)  # knows where its parts lie, and has run nothing
    try:
        import ccxt.kraken
    finally:
        del sys.modules["ccxt"]
    return ccxt.kraken.kraken
