"""No secret is found in anything that runs leave; `python -m tests.chaos --chapter secrets` tries more of them."""

from pathlib import Path

import pytest

from tests.chaos.scenes import Stage, prepare_nothing
from tests.chaos.secrets import ENDPOINTS, SECRETS, SecretsKept, forms_of, keep_secrets, nothing_is_found, shown_of
from tests.quick import parametrize


@parametrize("endpoint", ENDPOINTS, quick=0, long=4)
def test_no_secret_that_kraken_echoes_is_left_anywhere(endpoint: str, stage: Stage) -> None:
    assert SecretsKept().play(stage, f"secrets: two errors that echo: env file, {endpoint}") > 3


@pytest.mark.parametrize(
    "trial",
    [
        pytest.param("every command: environment", marks=pytest.mark.long),
        pytest.param("each wrong place: env file", marks=pytest.mark.long),
        pytest.param("every wrong place: env file", marks=pytest.mark.soak),
    ],
)
def test_no_secret_is_left_anywhere(trial: str, stage: Stage) -> None:
    assert SecretsKept().play(stage, f"secrets: {trial}") > 3


@pytest.mark.usefixtures("bent_time")
def test_no_object_of_ours_prints_a_secret(tmp_path: Path) -> None:
    shown = "\n".join(shown_of(tmp_path)).encode()

    assert b"NoAnswer" in shown
    assert [name for name, secret in SECRETS.items() if any(form in shown for form in forms_of(secret))] == []


def test_the_search_finds_what_is_there(stage: Stage) -> None:
    world = stage.after(prepare_nothing)
    try:
        keep_secrets(world, "env file")
        nothing_is_found(world)
        for name, form in ((name, form) for name, secret in SECRETS.items() for form in forms_of(secret)):
            (world.home / "leak").write_bytes(b"some " + form + b" text")

            with pytest.raises(AssertionError, match=f"{name} in leak"):
                nothing_is_found(world)
    finally:
        world.close()
