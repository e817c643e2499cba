"""metrics: reads GET /metrics, and checks that it is what Prometheus reads (text exposition format 0.0.4).

    before = Metrics(gateway.port)
    …
    assert Metrics(gateway.port).rejected("http", "bad_json") == before.rejected("http", "bad_json") + 1
"""
import re

from .http import get

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
HELP = re.compile(rf"^# HELP ({NAME}) (.+)$")
TYPE = re.compile(rf"^# TYPE ({NAME}) (counter|gauge|histogram|summary|untyped)$")
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\\\|\\"|\\n)*"'
SAMPLE = re.compile(rf"^({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (NaN|[+-]Inf|-?[0-9.]+(?:e[+-]?[0-9]+)?)$")


class Metrics:
    """families: name -> type; samples: (name, ((label, value), …)) -> float. Any defect of the format is an assertion."""

    def __init__(self, port):
        answer = get(port, "/metrics")
        assert answer.status == 200, answer
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        self.families = {}
        self.samples = {}
        self._read(answer.text)

    def _read(self, text):
        assert text.endswith("\n")
        helped, current = set(), None
        for line in text[:-1].split("\n"):
            if line.startswith("# HELP "):
                match = HELP.match(line)
                assert match and match.group(1) not in helped, f"a bad or second HELP: {line}"
                current = match.group(1)
                helped.add(current)
            elif line.startswith("# TYPE "):
                match = TYPE.match(line)
                assert match and match.group(1) == current and current not in self.families, f"misplaced TYPE: {line}"
                self.families[current] = match.group(2)
            else:
                self._sample(line, current)
        for name in self.families:
            assert any(key[0] == name for key in self.samples), f"{name} has no sample"

    def _sample(self, line, current):
        match = SAMPLE.match(line)
        assert match, f"not a sample: {line!r}"
        name = match.group(1)
        assert name == current and name in self.families, f"outside of its family: {line}"
        assert name.startswith("notifyhub_"), line
        labels = tuple(sorted(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match.group(2) or "")))
        assert (name, labels) not in self.samples, f"twice: {line}"
        value = float(match.group(3))
        if self.families[name] == "counter":
            assert name.endswith("_total") and value >= 0, line
        self.samples[name, labels] = value

    def get(self, name, **labels):
        return self.samples[name, tuple(sorted(labels.items()))]

    def rejected(self, door, reason):
        return self.get("notifyhub_rejected_total", door=door, reason=reason)
