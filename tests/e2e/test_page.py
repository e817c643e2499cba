"""page: the page at / shows live events and numbers, publishes by its form, and tells its states."""
import os

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from support.http import get, post
from support.waiting import wait_until
from support.zmq_clients import Push, event

LOST = ("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE",
        "503 (Service Unavailable)")


def open_page(browser, gateway, query=""):
    browser.get(gateway.url + "/" + query)
    browser.wait_js("document.querySelector('#status').dataset.state === 'live'")


def rows(browser):
    return browser.execute_script(
        "return [...document.querySelectorAll('#list li:not(.notice)')].map(r => [r.querySelector('.type').textContent,"
        " Number(r.dataset.seq), r.querySelector('.preview').textContent])")


def fill(browser, name, text):
    field = browser.find_element(By.ID, name)
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(Keys.DELETE)
    field.send_keys(text)


def publish(browser):
    browser.find_element(By.ID, "send").click()
    browser.wait_js("!document.querySelector('#answer').hidden && !document.querySelector('#send').disabled")
    return browser.text("#answer")


def picture(browser, folder, name):
    if folder:
        browser.save_screenshot(os.path.join(folder, name + ".png"))


def test_live_events_newest_first_with_their_bytes(browser, hub, gateway, screenshots):
    open_page(browser, gateway)
    assert "Nothing has come yet" in browser.text("#empty")
    with Push(hub) as push:
        push.send('{"event_type":"big","source_service":"cm","data":{"n":1180591620717411303424,"f":1.10}}')
        browser.wait_js("document.querySelectorAll('#list li').length === 1")  # the two doors do not wait for each other
    post(gateway.port, "/events", {"event_type": "new_setup", "data": {"setup_id": "0001234"}})
    browser.wait_js("document.querySelectorAll('#list li').length === 2")
    assert rows(browser) == [["new_setup", 2, '{"setup_id": "0001234"}'],
                             ["big", 1, '{"n":1180591620717411303424,"f":1.10}']]
    browser.find_elements(By.CSS_SELECTOR, "#list summary")[1].click()
    browser.wait_js("document.querySelectorAll('#list .json')[1].textContent.includes('  \"n\": 1180591620717411303424,')")
    assert '"f": 1.10' in browser.execute_script("return document.querySelectorAll('#list .json')[1].textContent")
    picture(browser, screenshots, "events")


def test_patterns_filter_and_stay_in_the_address(browser, hub, gateway):
    open_page(browser, gateway)
    fill(browser, "patterns", "order.*, new_setup" + Keys.ENTER)
    browser.wait_js("document.querySelector('#status').dataset.state === 'live'")
    assert browser.current_url.endswith("/?event_type=order.*&event_type=new_setup")
    wait_until(lambda: get(gateway.port, "/stats").json["gateway"]["subscribers"]["sse"] == 1, what="one stream")
    with Push(hub) as push:
        for kind in ("order.created", "orders", "new_setup", "old_setup"):
            push.send(event(kind))
    browser.wait_js("document.querySelectorAll('#list li').length === 2")
    assert [r[0] for r in rows(browser)] == ["new_setup", "order.created"]
    browser.refresh()
    browser.wait_js("document.querySelector('#status').dataset.state === 'live'")
    assert browser.execute_script("return document.querySelector('#patterns').value") == "order.*, new_setup"


def test_the_list_is_bounded_and_pauses(browser, hub, gateway):
    open_page(browser, gateway)
    with Push(hub) as push:
        for n in range(1000):
            push.send(event("n", n))
        browser.wait_js("document.querySelector('#count').textContent === '1,000'", limit=30)
        assert browser.execute_script("return document.querySelector('#list').childElementCount") == 300
        assert rows(browser)[0][2] == "999"
        browser.find_element(By.ID, "pause").click()
        push.send(event("n", 1000))
        browser.wait_js("document.querySelector('#pause').textContent === 'Resume (1)'")
        assert rows(browser)[0][2] == "999"
        browser.find_element(By.ID, "pause").click()
        browser.wait_js("document.querySelector('#list .preview').textContent === '1000'")
    browser.find_element(By.ID, "clear").click()
    assert browser.execute_script("return document.querySelector('#list').childElementCount") == 0


def test_numbers(browser, hub, gateway, screenshots):
    open_page(browser, gateway)
    for n in range(5):
        assert post(gateway.port, "/events", {"event_type": "n", "data": n}).status == 202
    assert post(gateway.port, "/events", {"event_type": 5}).status == 400
    browser.wait_js("document.querySelector('#seq').textContent === '5'")
    browser.wait_js("document.querySelector('#link').textContent === 'up'")
    browser.wait_js("document.querySelector('#delivered').textContent === '5'")
    browser.wait_js("document.querySelector('#rejected-detail').textContent === 'http 1'")
    assert browser.text("#subscribers") == "1" and "sse 1" in browser.text("#subscribers-detail")
    assert hub.epoch in browser.text("#epoch")
    with Push(hub) as push:  # enough for a curve
        for n in range(400):
            push.send(event("n", n))
    browser.wait_js("document.querySelector('#spark-line').getAttribute('d').split('L').length >= 4"
                    " && document.querySelector('#seq').textContent === '405'")
    picture(browser, screenshots, "numbers")


def test_the_form_publishes_and_shows_the_answer(browser, gateway, screenshots):
    open_page(browser, gateway)
    fill(browser, "event-type", "from_form")
    fill(browser, "data", '{"n": 123456789012345678901234567890, "text": "grüße"}')
    text = publish(browser)
    assert "Accepted as event 1" in text and "kept in: memory" in text
    browser.wait_js("document.querySelectorAll('#list li').length === 1")
    assert rows(browser) == [["from_form", 1, '{"n": 123456789012345678901234567890, "text": "grüße"}']]
    page = get(gateway.port, "/events?since=earliest").text
    assert "123456789012345678901234567890" in page, "the bytes that were typed, not a double"
    picture(browser, screenshots, "published")


def test_the_form_says_what_is_wrong(browser, gateway, screenshots):
    open_page(browser, gateway)
    fill(browser, "event-type", "")
    fill(browser, "data", '{"a": }')
    browser.find_element(By.ID, "send").click()
    assert "needs a type" in browser.text("#event-type-error")
    assert "Not JSON" in browser.text("#data-error")
    assert browser.execute_script("return document.activeElement.id") == "event-type"
    picture(browser, screenshots, "mistakes")
    fill(browser, "event-type", "x")
    assert browser.text("#event-type-error") == "", "a complaint goes as soon as it is met"
    for value, complaint in (("x" * 256, "At most 255 bytes"), ("hub.mine", "hub's own")):
        fill(browser, "event-type", value)
        browser.find_element(By.ID, "send").click()
        assert complaint in browser.text("#event-type-error")
    # What only the server can know is shown as it says it.
    fill(browser, "event-type", "StatsEvent")
    fill(browser, "data", "1")
    browser.expected_errors = ("422", "400", "403")
    text = publish(browser)
    assert "Refused" in text and "reserved_type" in text
    picture(browser, screenshots, "refused")


def test_states_lost_and_live_again_without_a_loss(browser, hub, gateway, screenshots):
    open_page(browser, gateway)
    assert post(gateway.port, "/events", {"event_type": "n", "data": 1}).status == 202
    browser.wait_js("document.querySelectorAll('#list li').length === 1")
    browser.expected_errors = LOST
    gateway.kill()
    browser.wait_js("document.querySelector('#status').dataset.state === 'lost'")
    assert f"{hub.epoch}-1" in browser.text("#status"), "says from where it will go on"
    browser.wait_js("document.querySelector('#numbers').classList.contains('old')")
    picture(browser, screenshots, "lost")
    with Push(hub) as push:
        push.send(event("n", 2))
        push.send(event("n", 3))
        gateway.start()
        gateway.wait_connected()
        browser.wait_js("document.querySelector('#status').dataset.state === 'live'", limit=30)
        browser.wait_js("document.querySelectorAll('#list li:not(.notice)').length === 3", limit=30)
    assert [r[2] for r in rows(browser)] == ["3", "2", "1"]
    assert "missed events came after all" in browser.text("#list")
    picture(browser, screenshots, "again")


def test_a_gap_is_shown_and_a_missing_hub_too(browser, hub, gateway, screenshots):
    open_page(browser, gateway)
    hub.kill()
    browser.wait_js("!document.querySelector('#banner').hidden && document.querySelector('#link').textContent === 'down'")
    assert "no answer from hub" in browser.text("#banner"), "says why"
    picture(browser, screenshots, "no-hub")
    hub.start()
    gateway.wait_connected()
    assert post(gateway.port, "/events", {"event_type": "n"}).status == 202
    browser.wait_js("document.querySelector('#banner').hidden")
    browser.wait_js("document.querySelector('#list').innerText.includes('the hub started anew')")
    browser.expected_errors = ("503",)


def test_a_gap_found_at_reconnecting_is_told(browser, hub, gateway):
    open_page(browser, gateway)
    assert post(gateway.port, "/events", {"event_type": "n", "data": 1}).status == 202
    browser.wait_js("document.querySelectorAll('#list li').length === 1")
    browser.expected_errors = LOST
    gateway.kill()
    hub.kill()
    hub.start()  # without the old one's events, and in another epoch: nobody has what the page asks for
    gateway.start()
    gateway.wait_connected()
    browser.wait_js("document.querySelector('#status').dataset.state === 'live'", limit=30)
    browser.wait_js("document.querySelector('#list .notice')?.textContent.includes('the hub started anew')", limit=30)


def test_the_list_begins_with_recent_events(browser, hub, gateway):
    with Push(hub) as push:
        for n in range(150):
            push.send(event("n", n))
    wait_until(lambda: get(gateway.port, "/stats").json["gateway"]["link"]["received_seq"] == 150, what="all events")
    open_page(browser, gateway)
    browser.wait_js("document.querySelectorAll('#list li').length === 100")
    assert [r[2] for r in rows(browser)] == [str(n) for n in range(149, 49, -1)]
    assert post(gateway.port, "/events", {"event_type": "n", "data": 150}).status == 202
    browser.wait_js("document.querySelector('#list .preview').textContent === '150'")
    assert not browser.execute_script("return document.querySelector('#list .notice')"), "nothing was missed"


def test_an_open_row_stays(browser, hub, gateway):
    open_page(browser, gateway)
    assert post(gateway.port, "/events", {"event_type": "read", "data": "by somebody"}).status == 202
    browser.wait_js("document.querySelectorAll('#list li').length === 1")
    browser.find_element(By.CSS_SELECTOR, "#list summary").click()
    with Push(hub) as push:
        for n in range(400):
            push.send(event("n", n))
    browser.wait_js("document.querySelector('#list .preview').textContent === '399'")
    assert browser.execute_script("return document.querySelector('#list').childElementCount") == 300
    assert rows(browser)[-1][0] == "read"


def test_a_refused_stream_says_why(browser, gateway):
    browser.expected_errors = ("400 (Bad Request)",)
    browser.get(gateway.url + "/?" + "&".join(f"event_type=p{n}" for n in range(65)))
    browser.wait_js("document.querySelector('#status').dataset.state === 'refused'")
    assert "more than 64" in browser.text("#status")
    fill(browser, "patterns", "p1" + Keys.ENTER)
    browser.wait_js("document.querySelector('#status').dataset.state === 'live'")


def test_dark_and_narrow(browser, hub, gateway, screenshots):
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]})
    open_page(browser, gateway)
    with Push(hub) as push:
        for n in range(40):
            push.send(event(["new_setup", "order.created", "temperature:lab-2", "error"][n % 4], {"n": n, "value": n / 7},
                            ["cm", "shop", "probe"][n % 3]))
    browser.wait_js("document.querySelectorAll('#list li').length === 40")
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert sum(int(c) for c in ground[4:-1].split(",")) < 150, ground
    picture(browser, screenshots, "dark")
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                            {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True})
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390, "no scrolling sideways"
    picture(browser, screenshots, "narrow")


def test_by_keyboard_and_named_for_readers(browser, gateway):
    open_page(browser, gateway)
    unnamed = browser.execute_script("""return [...document.querySelectorAll('input, textarea, select')]
        .filter(e => !e.labels || e.labels.length === 0).map(e => e.id)""")
    assert not unnamed, "fields without a label"
    assert browser.execute_script("return document.documentElement.lang") == "en"
    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert browser.execute_script("return document.activeElement.className") == "skip"


def test_nothing_comes_from_elsewhere(browser, gateway):
    open_page(browser, gateway)
    sources = browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert sources and all(s.startswith(gateway.url + "/") for s in sources), sources
    policy = get(gateway.port, "/").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe-inline" not in policy
