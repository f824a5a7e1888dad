"""The classes of the Fear & Greed index."""

from hypothesis import given
from hypothesis import strategies as st

from botctl.domain.decisions import Stance, sentiment_stance


@given(st.integers(min_value=0, max_value=100))
def test_the_index_has_its_own_classes(index: int) -> None:
    expected = Stance.FEAR if index <= 46 else Stance.GREED if index >= 55 else Stance.NEUTRAL

    assert sentiment_stance(index) is expected
