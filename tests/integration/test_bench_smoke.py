# ctest: timeout=300|serial
"""tests/bench/run --smoke: every measure works and loses nothing. How fast is no question here."""
import json
import os
import subprocess
import sys

from support.daemons import BIN_DIR, ROOT, SANITIZER_REPORT, WRAPPER
from support.waiting import seconds

import pytest


@pytest.mark.skipif(bool(WRAPPER), reason="figures of daemons under a wrapper say nothing")
def test_the_benchmark_runs(tmp_path):
    figures, picture = tmp_path / "bench.json", tmp_path / "bench.svg"
    done = subprocess.run([sys.executable, os.path.join(ROOT, "tests", "bench", "run"), "--no-build", "--smoke", "--json",
                           str(figures), "--svg", str(picture)], env={**os.environ, "NHUB_BIN_DIR": BIN_DIR},
                          capture_output=True, text=True, timeout=seconds(240), check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    assert not SANITIZER_REPORT.search(done.stderr), done.stderr
    report = json.loads(figures.read_text(encoding="utf-8"))
    rows = {row["row"]: row for row in report["rows"]}
    assert {"1", "2", "3a", "3b", "5", "6", "7", "9", "10", "12", "13a", "13b", "14a", "14b", "15a"} <= set(rows)
    assert all(row["median"] > 0 for row in rows.values()), rows
    for name, rounds in report["rounds"].items():
        for values in rounds:
            assert values.get("lost", 0) == 0 and values.get("duplicates", 0) == 0, (name, values)
    assert picture.read_text(encoding="utf-8").startswith("<svg")
    assert "WebSocket, 1000" in done.stdout


def test_the_list_and_wrong_names():
    command = [sys.executable, os.path.join(ROOT, "tests", "bench", "run")]
    done = subprocess.run([*command, "--list"], capture_output=True, text=True, check=True)
    assert "ws_steady raw_steady" in done.stdout
    done = subprocess.run([*command, "--no-build", "--only", "nonsense"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "no measure or row nonsense" in done.stderr
