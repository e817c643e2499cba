# ctest: timeout=600
"""cmake --install: what others get. Builds the example with pkg-config and with find_package, and runs it."""
import os
import re
import shutil
import subprocess

import pytest

from support.daemons import BIN_DIR, ROOT, SANITIZER_REPORT
from support.waiting import seconds
from support.zmq_clients import Dealer, event

BUILD_DIR = os.environ.get("NHUB_BUILD_DIR") or os.path.dirname(BIN_DIR)
EXAMPLE = os.path.join(ROOT, "hub", "client", "example")
HEADERS = os.path.join(ROOT, "include", "notifyhub")


def run(*command, env=None, cwd=None, limit=120):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=seconds(limit), cwd=cwd,
                          env={**os.environ, **(env or {})}, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert not SANITIZER_REPORT.search(done.stderr), done.stderr
    return done.stdout


def cache(name):
    with open(os.path.join(BUILD_DIR, "CMakeCache.txt"), encoding="utf-8") as lines:
        for line in lines:
            if line.startswith(name + ":"):
                return line.split("=", 1)[1].strip()
    return ""


COMPILER = cache("CMAKE_C_COMPILER") or "cc"
SANITIZE = cache("NHUB_SANITIZE")
# A program that uses a sanitized library must be linked with the sanitizers, too.
FLAGS = [f"-fsanitize={SANITIZE}"] if SANITIZE else []


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prefix")
    for component in ("library", "programs"):
        run("cmake", "--install", BUILD_DIR, "--prefix", folder, "--component", component)
    return str(folder)


def libdir(prefix):
    for folder, _, files in os.walk(prefix):
        if "libnotifyhub.so" in files:
            return folder
    raise AssertionError("libnotifyhub.so is not installed")


def run_example(program, hub, prefix):
    out = run(program, "127.0.0.1", hub.collector, hub.publisher, hub.requests,
              env={"LD_LIBRARY_PATH": libdir(prefix)}, limit=30)
    assert re.findall(r"^temperature\.lab number \d+: (.*)$", out, re.M) == [
        f'{{"celsius":{20 + n}.5}}' for n in range(3)], out


def test_headers_library_and_command_are_there(prefix):
    installed = sorted(os.listdir(os.path.join(prefix, "include", "notifyhub")))
    assert installed == sorted(os.listdir(HEADERS))
    versions = [name for name in os.listdir(libdir(prefix)) if re.fullmatch(r"libnotifyhub\.so(\.\d+)*", name)]
    assert len(versions) == 3, versions
    assert "libnotifyhub.a" in os.listdir(libdir(prefix))
    out = run(os.path.join(prefix, "bin", "notifyhub"), "--version")
    assert re.fullmatch(r"notifyhub \d+\.\d+\.\d+\n", out)


def pkg_config(prefix, *flags):
    env = {"PKG_CONFIG_PATH": os.path.join(libdir(prefix), "pkgconfig")}
    text = run("pkg-config", *flags, "notifyhub", env=env)
    return text.split()


def test_the_example_builds_with_pkg_config(prefix, hub, tmp_path):
    program = tmp_path / "thermometer"
    run(COMPILER, *FLAGS, "-Wall", "-Wextra", "-Werror", os.path.join(EXAMPLE, "thermometer.c"),
        *pkg_config(prefix, "--cflags", "--libs"), "-o", program)
    run_example(program, hub, prefix)


def test_the_example_builds_with_the_static_library(prefix, hub, tmp_path):
    program = tmp_path / "thermometer"
    # Not pkg-config --static: that would also link ZeroMQ statically, with libraries that Debian does not ship.
    run(COMPILER, *FLAGS, os.path.join(EXAMPLE, "thermometer.c"), *pkg_config(prefix, "--cflags"),
        os.path.join(libdir(prefix), "libnotifyhub.a"), "-lzmq", "-ljansson", "-pthread", "-o", program)
    run_example(program, hub, prefix)


def test_the_example_builds_with_find_package(prefix, hub, tmp_path):
    build = tmp_path / "build"
    run("cmake", "-S", EXAMPLE, "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCMAKE_C_COMPILER={COMPILER}",
        f"-DCMAKE_C_FLAGS={' '.join(FLAGS)}")
    run("cmake", "--build", build)
    for program in ("thermometer", "thermometer_static"):
        run_example(build / program, hub, prefix)
    with Dealer(hub) as dealer:
        dealer.publish(*[event("order.new", {"customer": n}) for n in range(3)])
    out = run(build / "mailer", "127.0.0.1", hub.requests, 3, env={"LD_LIBRARY_PATH": libdir(prefix)}, limit=30)
    assert re.findall(r"^mail for order \S+ \(attempt 1\): (.*)$", out, re.M) == [f'{{"customer": {n}}}' for n in range(3)]


def declared():
    names = set()
    for header in os.listdir(HEADERS):
        with open(os.path.join(HEADERS, header), encoding="utf-8") as text:
            names |= set(re.findall(r"NHUB_API[^;]*?\b(nhub_\w+)\(", text.read()))
    return names


def test_only_what_the_headers_declare_is_exported(prefix):
    table = run("nm", "-D", "--defined-only", os.path.join(libdir(prefix), "libnotifyhub.so"))
    exported = {m.group(1) for m in re.finditer(r" [TDBRWV] (\w+?)(?:@@\w+)?$", table, re.M)}
    exported = {name for name in exported if not name.startswith(("__asan", "__odr_asan", "__ubsan", "__tsan"))}
    assert exported == declared()


def test_the_static_library_has_no_other_global_names(prefix):
    table = run("nm", "-g", "--defined-only", os.path.join(libdir(prefix), "libnotifyhub.a"))
    names = set(re.findall(r" [A-Z] (\w+)$", table, re.M))
    assert names == declared()


def test_every_header_compiles_alone_in_c_and_cpp(tmp_path):
    for header in sorted(os.listdir(HEADERS)):
        for suffix, compiler, standard in ((".c", COMPILER, "c11"), (".cpp", shutil.which("c++"), "c++11")):
            if compiler is None:
                continue
            source = tmp_path / (header + suffix)
            source.write_text(f"#include <notifyhub/{header}>\nint main() {{ return 0; }}\n")
            run(compiler, f"-std={standard}", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
                f"-I{os.path.join(ROOT, 'include')}", source)
