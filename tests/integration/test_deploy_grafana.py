"""deploy_grafana: the dashboard for Grafana asks for nothing but what /metrics has, with labels that it has."""
import json
import os
import re

import pytest

from support.daemons import ROOT
from support.http import post
from support.metrics import Metrics

PATH = os.path.join(ROOT, "deploy", "grafana", "notifyhub.json")
SCRAPE_LABELS = {"job", "instance"}  # those that Prometheus adds


@pytest.fixture(scope="module")
def dashboard():
    with open(PATH, encoding="utf-8") as file:
        return json.load(file)


def expressions(dashboard):
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"], target["legendFormat"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]["query"], ""


def test_it_is_a_dashboard_that_can_be_imported(dashboard):
    assert dashboard["uid"] == "notifyhub" and dashboard["title"] and dashboard["schemaVersion"] >= 36
    assert "id" not in dashboard, "the number of somebody's own database"
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids) > 0
    taken = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["w"] > 0 and place["h"] > 0 and place["x"] >= 0 and place["x"] + place["w"] <= 24, panel["title"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, f"{panel['title']} lies on another one"
        taken |= cells
        assert panel["title"] and panel["targets"] and panel["datasource"]["uid"] == "${datasource}"
    names = {variable["name"] for variable in dashboard["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard))) - {"__rate_interval", "__all"}
    assert used == names, "each variable is there, and of use"


def test_it_asks_for_what_there_is(gateway, dashboard):
    assert post(gateway.port, "/events", {"event_type": "a"}).status == 202
    metrics = Metrics(gateway.port)
    labels = {}
    for name, pairs in metrics.samples:
        labels.setdefault(name, set()).update(label for label, _ in pairs)
    for where, expression, legend in expressions(dashboard):
        names = set(re.findall(r"notifyhub_\w+", expression))
        assert names and names <= set(metrics.families), (where, names - set(metrics.families))
        for name in names:
            if metrics.families[name] == "counter":
                assert re.search(rf"rate\({name}\{{[^}}]*\}}\[\$__rate_interval\]\)", expression), (where, "a counter as it is")
            else:
                assert f"rate({name}" not in expression, (where, "the rate of a gauge")
        known = SCRAPE_LABELS | set().union(*(labels[name] for name in names))
        asked = re.findall(r"(\w+)=~?\"", expression) + re.findall(r"\{\{(\w+)\}\}", legend)
        for group in re.findall(r"by \(([^)]*)\)", expression):
            asked += re.split(r",\s*", group)
        assert set(asked) <= known, (where, set(asked) - known)
        assert expression.count("(") == expression.count(")") and expression.count("{") == expression.count("}")
