"""web: web/build with an npm that cannot install, and what a tree that builds no dashboard serves."""
import os
import shutil
import subprocess

import pytest

from support.daemons import ROOT


@pytest.fixture
def build(tmp_path):
    """build(strict) -> CompletedProcess of web/build, in a copy without packages, with an npm that fails."""
    shutil.copytree(os.path.join(ROOT, "web"), tmp_path / "tree" / "web", ignore=shutil.ignore_patterns("node_modules"))
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in (("npm", f"echo called >>{tmp_path}/calls; echo 'npm error no network' >&2; exit 1"), ("node", "echo v20.0.0")):
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)

    def run(strict, **env):
        return subprocess.run([str(tmp_path / "tree" / "web" / "build"), str(tmp_path / "out"), strict, str(tmp_path / "stamp")], capture_output=True,
                              text=True, env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", **env}, check=False)
    return run


def calls(folder):
    """How often npm was run."""
    return (folder / "calls").read_text().count("called")


def test_without_packages_the_plain_page_takes_the_place(build, tmp_path):
    (tmp_path / "out" / "web").mkdir(parents=True)
    (tmp_path / "out" / "web" / "of-an-earlier-build.js").write_text("old")
    done = build("off")
    assert done.returncode == 0, done.stderr
    assert "npm error no network" in done.stderr and "plain page" in done.stderr
    assert sorted(os.listdir(tmp_path / "out" / "web")) == ["icon.svg", "index.html", "plain.css"]
    assert not os.path.exists(tmp_path / "stamp"), "the next build tries again"
    assert build("off").returncode == 0


def test_a_failed_try_is_remembered(build, tmp_path):
    assert build("off").returncode == 0 and calls(tmp_path) == 1
    done = build("off")
    assert done.returncode == 0 and calls(tmp_path) == 1
    assert "npm could not install the packages (npm error no network); it is tried again in 24 h" in done.stderr
    assert "NHUB_WEB_RETRY=1" in done.stderr and os.path.exists(tmp_path / "out" / "web" / "index.html")
    assert build("off", NHUB_WEB_RETRY="1").returncode == 0 and calls(tmp_path) == 2, "on request"
    assert build("on").returncode == 1 and calls(tmp_path) == 3, "where it is wanted"


def test_a_failed_try_is_repeated_for_other_packages_and_the_next_day(build, tmp_path):
    build("off")
    with open(tmp_path / "tree" / "web" / "package-lock.json", "a", encoding="utf-8") as lock:
        lock.write("\n")
    build("off")
    assert calls(tmp_path) == 2
    failed = tmp_path / "out" / "npm.failed"
    packages, at, why = failed.read_text(encoding="utf-8").splitlines()
    for text, expected in ((f"{packages}\n{int(at) - 86401}\n{why}\n", 3), (f"{packages}\n{int(at) + 90000}\n{why}\n", 4), ("nonsense", 5), ("", 6)):
        failed.write_text(text, encoding="utf-8")
        assert build("off").returncode == 0
        assert calls(tmp_path) == expected, text


def test_where_the_dashboard_is_wanted_it_is_an_error(build, tmp_path):
    done = build("on")
    assert done.returncode == 1 and "npm could not install the packages" in done.stderr
    assert not os.path.exists(tmp_path / "out" / "web")


def test_a_tree_can_be_told_to_build_none(tmp_path):
    configured = subprocess.run(["cmake", "-S", ROOT, "-B", str(tmp_path), "-G", "Ninja", "-DNHUB_WEB=off", "-DNHUB_TESTS=OFF"],
                                capture_output=True, text=True, check=False)
    assert configured.returncode == 0, configured.stderr
    subprocess.run(["cmake", "--build", str(tmp_path), "--target", "web"], capture_output=True, check=True)
    with open(tmp_path / "share" / "notifyhub" / "web" / "index.html", encoding="utf-8") as page:
        assert "Its dashboard is not built" in page.read()
