# ctest: timeout=600
"""dashboard: axe, light and dark, a phone, and that nothing comes from elsewhere. The scenarios are in dashboard/access.mjs, for Playwright."""
import pytest

from support.stage import play, scenarios


@pytest.mark.parametrize("name", scenarios("access.mjs"))
def test_scenario(hub, gateway, name):
    play(hub, gateway, "access.mjs", name)
