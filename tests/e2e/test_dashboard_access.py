# ctest: timeout=600
"""dashboard: axe, light and dark, a phone, and that nothing comes from elsewhere. The scenarios are in dashboard/access.mjs, for Playwright."""
import os

import pytest

from support.daemons import ROOT
from support.stage import play, scenarios


@pytest.mark.parametrize("name", scenarios("access.mjs"))
def test_scenario(hub, gateway, name):
    play(hub, gateway, "access.mjs", name)


@pytest.mark.parametrize("name", scenarios("plain.mjs"))
def test_plain_page(hub, start_gateway, name):
    gateway = start_gateway(hub, "--gateway-web-root", os.path.join(ROOT, "web", "plain")).wait_connected()
    play(hub, gateway, "plain.mjs", name)
