"""Checks of notifications, the heartbeat, the metrics file and the page, for `botctl doctor`."""

from collections.abc import Iterator
from pathlib import Path

from botctl.domain.configuration.settings import Settings
from botctl.domain.health.checks import CheckResult
from botctl.monitoring import heartbeat, metrics, page, sender


def check_monitoring(settings: Settings, folder: Path) -> Iterator[CheckResult]:
    """What keeps messages, pings, metrics and the page from arriving. Sends nothing."""
    yield _check_notifications(settings)
    if settings.healthcheck_url is not None:
        problem = heartbeat.problem_with_url(settings.healthcheck_url)
        fix = "correct the setting" if problem else ""
        yield CheckResult("heartbeat", "warn" if problem else "ok", problem or "HEALTHCHECK_URL is pinged", fix)
    if settings.metrics_file is not None:
        path = folder / settings.metrics_file
        if error := metrics.problem_with_file(path):
            yield CheckResult("metrics", "warn", error.message, error.hint)
        else:
            yield CheckResult("metrics", "ok", f"each tick writes {path}")
    if settings.report_file is not None:
        path = folder / settings.report_file
        if error := page.problem_with_file(path):
            yield CheckResult("page", "warn", error.message, error.hint)
        else:
            detail = f"{path} is written after each trade and every {settings.report_every}"
            yield CheckResult("page", "ok", detail)


def _check_notifications(settings: Settings) -> CheckResult:
    if settings.notify_urls is None:
        return CheckResult("notify", "warn", "no notifications are configured", "set NOTIFY_URLS (docs/settings.md)")
    if error := sender.problem_with_addresses(settings.channels):
        return CheckResult("notify", "warn", error.message, error.hint)
    names = ", ".join(sender.masked(url) for url in settings.channels)
    return CheckResult("notify", "ok", f"{names}; `botctl notify --test` sends to each")
