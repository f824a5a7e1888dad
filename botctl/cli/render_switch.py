"""The kill switch in one line."""

from collections.abc import Callable
from typing import Any

from botctl.domain.switch_state import SwitchState


def _switch(view: SwitchState) -> Any:
    frozen = " and FROZEN: positions are unguarded" if view.frozen else ""
    why = f" ({view.why})" if view.why else ""
    return f"system is {view.system_status}{frozen}{why}, buys are {'enabled' if view.buy_enabled else 'disabled'}"


NAMING_THE_MODE: tuple[type, ...] = ()
VIEWS: dict[type, Callable[[Any], Any]] = {SwitchState: _switch}
