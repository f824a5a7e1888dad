"""The report's page in a real browser: it draws, it complains of nothing, and it asks nobody for anything."""

import json
import os
import re
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest

from tests.bot_runner import PROJECT, BotRunner

BTC = str(PROJECT / "data" / "tape" / "BTC-USD.csv")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
AXE = os.environ.get("AXE_CORE", "")
"""axe.min.js of axe-core, which is no part of the project: `npm install axe-core` somewhere."""
PLACES = {
    "wide": ("--window-size=1440,2400",),
    "tablet": ("--window-size=820,2400",),
    "narrow": ("--window-size=500,2400",),  # headless Chromium has no narrower window
    "dark": ("--window-size=1440,2400", "--force-dark-mode"),
}

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed here: apt-get install chromium"),
]


@pytest.fixture(params=["database", "backtest", "kept"])
def page(request: pytest.FixtureRequest, veteran: BotRunner) -> Path:
    """A page of each kind; `kept` is the one of REPORT_FILE, with its script beside it."""
    if request.param == "kept":
        return keep_page(veteran)
    files = (BTC,) if request.param == "backtest" else ()
    return Path(veteran.json("report", *files)["file"])


@pytest.fixture
def kept(veteran: BotRunner) -> Path:
    veteran.run("buy", "BTC/USD", "100", "--yes")
    return keep_page(veteran)


def keep_page(veteran: BotRunner) -> Path:
    veteran.set(REPORT_FILE="index.html")
    command = [sys.executable, "-P", "-m", "botctl.cli.page.process"]
    subprocess.run(command, check=True, timeout=120, env={**os.environ, "PYTHONPATH": str(PROJECT)})
    return veteran.home / "index.html"


def browse(page: Path, *wanted: str, size: str = "--window-size=1280,3000") -> tuple[str, str]:
    """What Chromium answers on stdout, and its log."""
    profile = page.parent / "profile"
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    run = subprocess.run(
        [
            str(BROWSER),
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", *quiet),
            *(f"--user-data-dir={profile}", "--enable-logging=stderr", "--virtual-time-budget=20000"),
            *("--hide-scrollbars", size, *wanted, page.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout, run.stderr


def with_script(page: Path, script: str) -> Path:
    """A copy of the page that also runs `script`, which its own policy forbids."""
    copy = page.with_name("copy.html")
    content = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text())
    copy.write_text(content.replace("</body>", f"<script>{script}</script></body>"))
    return copy


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


@pytest.mark.parametrize("place", PLACES)
def test_the_page_itself_never_scrolls_sideways(kept: Path, place: str) -> None:
    size, *more = PLACES[place]
    script = "document.title = document.documentElement.scrollWidth + ' of ' + innerWidth"

    document, log = browse(with_script(kept, script), "--dump-dom", *more, size=size)

    found = re.search(r"<title>(\d+) of (\d+)</title>", document)
    assert found is not None
    assert int(found[1]) <= int(found[2])
    assert "CONSOLE" not in log


@pytest.mark.skipif(not AXE, reason="AXE_CORE names no axe.min.js: npm install axe-core")
@pytest.mark.parametrize("place", PLACES)
def test_axe_finds_no_violation(kept: Path, place: str) -> None:
    size, *more = PLACES[place]
    script = (
        Path(AXE).read_text()
        + "; setTimeout(() => axe.run({ rules: { 'target-size': { enabled: true } } }).then((found) => { "
        + "document.title = JSON.stringify("
        + "found.violations.map((each) => [each.impact, each.id, each.nodes.length])) + '!'; }), 2000)"
    )

    document, _ = browse(with_script(kept, script), "--dump-dom", *more, size=size)

    found = re.search(r"<title>(.*?)!</title>", document)
    assert found is not None
    assert json.loads(found[1].replace("&quot;", '"')) == []


def test_paper_has_every_chart_and_whole_tables(kept: Path) -> None:
    """The copy prints itself: what a browser does to a page before it prints it is in the document then."""
    script = "dispatchEvent(new Event('beforeprint'))"

    document, log = browse(with_script(kept, script), "--dump-dom")
    printed = kept.parent / "page.pdf"
    browse(kept, f"--print-to-pdf={printed}")

    charts = re.findall(r'<div class="chart[^>]*data-chart="([^"]+)"[^>]*>(.{0,200})', document)
    assert len(charts) >= 5
    assert [key for key, inside in charts if "svg-container" not in inside] == []
    assert "CONSOLE" not in log
    pages = printed.read_bytes().count(b"/Type /Page\n") or printed.read_bytes().count(b"/Type /Page")
    assert pages >= 2 + len(charts) // 4
