"""The report's page in a real browser: it draws, it complains of nothing, and it asks nobody for anything."""

import json
import re
import shutil
import subprocess
from io import BytesIO
from pathlib import Path

import pytest

from tests.bot_runner import PROJECT, BotRunner

BTC = str(PROJECT / "data" / "tape" / "BTC-USD.csv")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed here: apt-get install chromium"),
]


@pytest.fixture(params=["database", "backtest"])
def page(request: pytest.FixtureRequest, veteran: BotRunner) -> Path:
    """A page of either kind."""
    files = (BTC,) if request.param == "backtest" else ()
    return Path(veteran.json("report", *files)["file"])


def browse(page: Path, *wanted: str) -> tuple[str, str]:
    """What Chromium answers on stdout, and its log."""
    profile = page.parent / "profile"
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    run = subprocess.run(
        [
            str(BROWSER),
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", *quiet),
            *(f"--user-data-dir={profile}", "--enable-logging=stderr", "--virtual-time-budget=20000"),
            *("--hide-scrollbars", "--window-size=1280,3000", *wanted, page.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout, run.stderr


def test_every_chart_near_the_window_is_drawn_without_a_complaint(page: Path) -> None:
    document, log = browse(page, "--dump-dom")

    charts = re.findall(r'<div class="chart[^>]*data-chart="([^"]+)"[^>]*>(.{0,200})', document)
    drawn = [key for key, inside in charts if "svg-container" in inside]
    assert drawn[:2] == ["equity", "drawdown"]
    assert drawn[2].startswith("trade:")
    assert "CONSOLE" not in log
    for what in ("scatterlayer", "js-line", "trace boxes", "legendtext"):
        assert what in document


def test_there_is_something_to_see(page: Path) -> None:
    from PIL import Image

    picture = page.parent / "page.png"
    browse(page, f"--screenshot={picture}")

    image = Image.open(BytesIO(picture.read_bytes())).convert("RGB")
    colours = {colour: count for count, colour in image.getcolors(1 << 24) or []}
    assert image.size == (1280, 3000)
    for seen in ((31, 95, 191), (179, 64, 58), (42, 138, 95), (192, 122, 0)):  # equity, falling, rising, stop
        assert colours.get(seen, 0) > 50, seen


def test_it_asks_nobody_for_anything(page: Path) -> None:
    record = page.parent / "net.json"
    page.write_text(page.read_text().replace("</main>", '<img src="https://example.com/x.png"></main>'))

    _, log = browse(page, f"--log-net-log={record}", "--dump-dom")

    assert "Content Security Policy" in log  # even where something got in that would ask
    assert "example.com" not in json.dumps(json.loads(record.read_text())["events"])
