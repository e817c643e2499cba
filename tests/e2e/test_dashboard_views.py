# ctest: timeout=600
"""dashboard: overview, types, publish and clients. The scenarios are in dashboard/views.mjs, for Playwright."""
import pytest

from support.stage import play, scenarios


@pytest.mark.parametrize("name", scenarios("views.mjs"))
def test_scenario(hub, gateway, name):
    play(hub, gateway, "views.mjs", name)
