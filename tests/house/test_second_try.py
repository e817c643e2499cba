"""tests/run: what it makes of tests that fail beside others. CTest and CMake are stand-ins here."""
import os
import subprocess

import pytest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")

CTEST = """#!/bin/sh
# The first call is the whole run; each later one is of one test, and fails when its name is in $FAIL_AGAIN.
count=$(cat "$STATE" 2>/dev/null || echo 0)
echo $((count + 1)) >"$STATE"
if [ "$count" -eq 0 ]; then
    echo "50% tests passed, $(echo $FAIL | wc -w) tests failed out of 10"
    echo "The following tests FAILED:"
    for name in $FAIL; do echo "	 7 - $name (${HOW:-Failed})"; done
    echo "$SAID"
    exit 8
fi
for last; do :; done
case " $FAIL_AGAIN " in *" $(echo "$last" | tr -d '^$\\\\') "*) exit 8 ;; esac
"""


def run_with(tmp_path, fail, fail_again="", how="Failed", said=""):
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in (("ctest", CTEST), ("cmake", "#!/bin/sh\n")):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    return subprocess.run(
        [os.path.join(ROOT, "tests", "run"), "--no-install", "--part", "asan"], capture_output=True, text=True,
        timeout=60, check=False,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "NHUB_BUILD_ROOT": str(tmp_path / "build"),
             "STATE": str(tmp_path / "state"), "FAIL": fail, "FAIL_AGAIN": fail_again, "HOW": how, "SAID": said})


def test_one_that_passes_alone_is_named(tmp_path):
    done = run_with(tmp_path, "integration.a integration.b")
    assert done.returncode == 0, done.stdout
    *_, a, b, last = done.stdout.splitlines()
    assert a.startswith("unsteady: integration.a ") and b.startswith("unsteady: integration.b ")
    assert last == "10 passed, 0 failed"


def test_one_that_fails_again_fails_the_run(tmp_path):
    done = run_with(tmp_path, "integration.a integration.b", fail_again="integration.b")
    assert done.returncode == 1 and done.stdout.splitlines()[-1] == "8 passed, 2 failed", done.stdout
    assert "part asan failed" in done.stderr


def test_seven_fail_the_run_at_once(tmp_path):
    done = run_with(tmp_path, "a b c d e f g")
    assert done.returncode == 1 and done.stdout.splitlines()[-1] == "3 passed, 7 failed", done.stdout
    assert "once more" not in done.stdout


@pytest.mark.parametrize("how,said", [("SEGFAULT", ""), ("Subprocess aborted", ""), ("Failed", "ERROR: AddressSanitizer: x"),
                                      ("Failed", "a.c:1: runtime error: x"), ("Failed", "WARNING: ThreadSanitizer: x")])
def test_a_crash_and_a_report_fail_the_run_at_once(tmp_path, how, said):
    done = run_with(tmp_path, "a", how=how, said=said)
    assert done.returncode == 1 and done.stdout.splitlines()[-1] == "9 passed, 1 failed", done.stdout
    assert "once more" not in done.stdout
