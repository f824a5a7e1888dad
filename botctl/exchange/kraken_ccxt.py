"""Loads ccxt's Kraken without the hundred other exchanges that `import ccxt` brings along."""

import sys
from importlib import util
from typing import Any


def load_kraken() -> Any:
    """ccxt's class `kraken`.

    Its package imports every exchange there is, which takes most of a run's start and of its memory. So the package's
    own file is not run while `ccxt.kraken` is loaded. Whoever imports ccxt afterwards (an agent may) gets it whole.
    """
    if "ccxt" not in sys.modules:
        return _load_alone()
    import ccxt

    return ccxt.kraken


def _load_alone() -> Any:
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
