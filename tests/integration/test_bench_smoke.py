# ctest: timeout=300|serial
"""tests/bench/run --smoke: every measure works and loses nothing. How fast is no question here."""
import json
import os
import re
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
    assert {str(n) for n in range(1, 17)} == {re.match(r"\d*", number).group(0) for number in rows} - {""}, rows
    # What needs a peer, and nothing else, says that it was not measured.
    for row in rows.values():
        assert (row["median"] or 0) > 0 or (row["verdict"] == "not measured" and "with --peers" in row["why"]), row
    measured = {number for number, row in rows.items() if row["median"]}
    assert {"1", "2", "3a", "3b", "5", "6", "7", "9", "10", "12", "13a", "13b", "14a", "14b", "15a", "15d", "16a", "16c",
            "S1a", "S1b", "S2a"} <= measured
    assert report["failures"].keys() == {name for name in report["failures"] if name not in report["rounds"]}, report["failures"]
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
    assert done.returncode == 2 and "no measure or row nonsense" in done.stderr


def test_what_fails_is_told_and_the_rest_goes_on(tmp_path):
    """A folder without our load generators: each measure fails, says why, and leaves the table whole."""
    (tmp_path / "bin").mkdir()
    done = subprocess.run([sys.executable, os.path.join(ROOT, "tests", "bench", "run"), "--no-build", "--smoke", "--rows", "1,6,8",
                           "--json", str(tmp_path / "bench.json")], env={**os.environ, "NHUB_BIN_DIR": str(tmp_path / "bin")},
                          capture_output=True, text=True, timeout=seconds(60), check=False)
    assert done.returncode == 3, done.stdout + done.stderr
    report = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert {row["row"]: row["verdict"] for row in report["rows"]} == dict.fromkeys(["1", "6", "6b", "8a", "8b"], "not measured")
    assert all(row["why"] for row in report["rows"]), report["rows"]
    assert done.stdout.count("not measured:") == 4
