# ctest: timeout=600
"""dashboard: the view of live events, up to a gateway that is killed under the open page. The scenarios are in dashboard/live.mjs, for Playwright."""
import pytest

from support.stage import play, scenarios


@pytest.mark.parametrize("name", scenarios("live.mjs"))
def test_scenario(hub, gateway, name):
    play(hub, gateway, "live.mjs", name)
