# ctest: serial timeout=300
"""dashboard under load: 5 000 events a second while somebody clicks. It measures, so nothing else runs beside it."""
import pytest

from support.stage import play, scenarios
from support.waiting import FACTOR


@pytest.mark.skipif(FACTOR > 1, reason="an instrumented gateway is not what is measured here")
@pytest.mark.parametrize("name", scenarios("load.mjs"))
def test_scenario(hub, gateway, name):
    print(play(hub, gateway, "load.mjs", name, limit=180))
