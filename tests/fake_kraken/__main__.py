"""Serves a fake Kraken until Ctrl-C, for trying the bot by hand."""

import argparse
import contextlib
import threading

from tests.fake_kraken import FakeKraken


def main() -> None:
    parser = argparse.ArgumentParser(description="A fake Kraken with default markets, prices and 10000 USD.")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: any free one)")
    with FakeKraken(port=parser.parse_args().port) as kraken:
        print(f"KRAKEN_API_URL={kraken.url}")
        print(f"KRAKEN_API_KEY={kraken.api_key}")
        print(f"KRAKEN_PRIVATE_KEY={kraken.secret}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
