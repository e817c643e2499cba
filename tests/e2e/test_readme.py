"""readme: what README.md says to paste into the console of the page, pasted there."""
from support.http import post
from support.readme import blocks_of


def test_blocks_for_the_console(gateway, browser):  # the page must not outlive its gateway
    blocks = [text for _, text, _ in blocks_of("js")]
    assert len(blocks) == 2
    browser.get(gateway.url + "/")
    browser.wait_js("document.querySelector('#status').dataset.state === 'live'")
    # What a console shows, kept where the test can read it.
    browser.execute_script("window.shown = []; console.log = (...values) => window.shown.push(values);")
    for text in blocks:
        # As the console does it: the page's own policy does not concern what its reader types.
        answer = browser.execute_cdp_cmd("Runtime.evaluate", {"expression": text, "replMode": True})
        assert "exceptionDetails" not in answer, answer
    browser.wait_js("window.shown.some(v => v[0]?.op === 'published')")
    assert post(gateway.port, "/events", {"event_type": "new_setup", "data": {"setup_id": "0001234"}}).status == 202
    browser.wait_js("window.shown.filter(v => v[0]?.data?.setup_id === '0001234').length === 1")  # WebSocket
    browser.wait_js("window.shown.filter(v => v[1]?.data?.setup_id === '0001234').length === 1")  # EventSource
    browser.wait_js("window.shown.filter(v => v[0]?.data?.setup_id === '0001235').length === 1")
