"""house: what holds for the tree as a whole: format, layout, direction of dependencies, one room for each foreign library.

Works in a clone, in a work tree with changes and in an archive without .git. Needs no build.
"""
import concurrent.futures
import os
import re
import shutil
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SKIPPED_FOLDERS = {".git", "build", "node_modules", "__pycache__", ".pytest_cache", "data"}

# Which file (or files) may include a foreign header. At most `most` files of the pattern do.
ROOMS = {
    "zmq.h": (r"hub/base/zsock\.c", 1),
    "yaml.h": (r"hub/base/options_yaml\.c", 1),
    "lmdb.h": (r"hub/store/\w+\.[ch]", 6),
    "ev.h": (r"gateway/event_loop\.c", 1),
    "zlib.h": (r"gateway/protocols/gzip\.c", 1),
    "ncurses.h": (r"hub/cli/top_screen\.c", 1),
    "curl/curl.h": (r"hub/cli/\w+\.c", 1),
}

# What a folder may include with quotes or from our own public headers, by the first component of the path.
ALLOWED = {
    "include/notifyhub": {"notifyhub"},
    "hub/base": {"base", "notifyhub"},
    "hub/wire": {"wire", "base", "notifyhub"},
    "hub/client": {"client", "wire", "base", "notifyhub"},
    "hub/store": {"store", "wire", "base", "notifyhub"},
    "hub/zmtp": {"zmtp", "wire", "base", "notifyhub"},
    "hub/daemon": {"daemon", "store", "zmtp", "wire", "base", "notifyhub"},
    "hub/cli": {"cli", "client", "store", "wire", "base", "notifyhub"},
    "gateway": {"gateway", "wire", "base", "notifyhub"},
}

TOP_LEVEL = {"CMakeLists.txt", "CMakePresets.json", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md",
             "SECURITY.md", "include", "hub", "gateway", "web", "tests", "deploy", "build", "data"}


def tracked():
    """All files of the project, relative to the root."""
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = sorted(f for f in folders if f not in SKIPPED_FOLDERS)
        for name in sorted(files):
            found.append(os.path.relpath(os.path.join(folder, name), ROOT))
    return found


FILES = tracked()
C_FILES = [f for f in FILES if f.endswith((".c", ".h"))]
OURS = [f for f in C_FILES if not f.startswith("tests/")]


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


MADE_BY_THE_BUILD = {"api_embedded.h"}


def text_files():
    for path in FILES:
        if path.startswith("tests/fuzz/corpus/") or path.endswith((".png", ".ico", ".woff2")):
            continue
        try:
            yield path, read(path)
        except UnicodeDecodeError:
            pytest.fail(f"{path} is not UTF-8 text")


def includes(path):
    """(kind, name) of each include of a C file: kind is '"' or '<'."""
    return re.findall(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', read(path), re.M)


def run_all(commands):
    """Runs commands side by side and returns (command, output) of those that failed."""
    def run(command):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        return command, done.returncode, done.stdout + done.stderr

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return [(command, output) for command, status, output in pool.map(run, commands) if status != 0]


def show(failures):
    return "\n".join(f"{' '.join(command)}\n{output[:2000]}" for command, output in failures)


def test_format():
    size = 16
    batches = [C_FILES[i:i + size] for i in range(0, len(C_FILES), size)]
    failures = run_all([["clang-format", "--dry-run", "--Werror", *batch] for batch in batches])
    assert not failures, show(failures)


def test_each_header_compiles_alone():
    compiler = shutil.which("gcc") or "cc"
    flags = ["-std=c11", "-D_GNU_SOURCE", "-DNHUB_VERSION=\"0\"", "-Iinclude", "-Ihub", "-I.", "-Itests/support",
             "-Wall", "-Wextra", "-Wno-unused-function", "-Werror", "-fsyntax-only", "-x", "c"]
    # Through a file that includes it, so that an include guard is checked as well.
    commands = []
    for header in (f for f in C_FILES if f.endswith(".h")):
        commands.append(["sh", "-c", f"printf '#include \"%s\"\\n#include \"%s\"\\n' '{header}' '{header}' | "
                         + " ".join(f"'{word}'" for word in [compiler, *flags]) + " -"])
    failures = run_all(commands)
    assert not failures, show(failures)


def test_public_headers_are_plain_c11_and_cpp():
    headers = [f for f in C_FILES if f.startswith("include/")]
    commands = []
    for header in headers:
        commands.append(["gcc", "-std=c11", "-pedantic-errors", "-Wall", "-Wextra", "-Werror", "-Iinclude",
                         "-fsyntax-only", "-x", "c", header])
        commands.append(["clang", "-std=c++11", "-Wall", "-Wextra", "-Werror", "-Wno-pragma-once-outside-header",
                         "-Iinclude", "-fsyntax-only", "-x", "c++", header])
    failures = run_all(commands)
    assert not failures, show(failures)


def test_foreign_headers_stay_in_their_rooms():
    wrong = []
    users = {name: set() for name in ROOMS}
    for path in OURS:
        for _, name in includes(path):
            for foreign, (room, _) in ROOMS.items():
                if name == foreign or (foreign == "zmq.h" and name == "zmq_utils.h"):
                    users[foreign].add(path)
                    if not re.fullmatch(room, path):
                        wrong.append(f"{path} includes <{name}>, whose room is {room}")
    for foreign, (_, most) in ROOMS.items():
        if len(users[foreign]) > most:
            wrong.append(f"<{foreign}> is included in {sorted(users[foreign])}, at most {most} may")
    assert not wrong, "\n".join(wrong)


def test_dependencies_point_one_way():
    wrong = []
    for path in OURS:
        folder = next(f for f in ALLOWED if path.startswith(f + "/"))
        for kind, name in includes(path):
            first, _, rest = name.partition("/")
            known = {"base", "wire", "zmtp", "client", "daemon", "cli", "gateway", "notifyhub", "hub"}
            if not rest:  # "x.h": beside the file itself, or a foreign header in <>
                made = name in MADE_BY_THE_BUILD
                if kind == '"' and not made and not os.path.exists(os.path.join(ROOT, os.path.dirname(path), name)):
                    wrong.append(f'{path} includes "{name}", which is not beside it')
            elif first in known and first not in ALLOWED[folder]:
                wrong.append(f"{path} includes {name}: {folder} may use {sorted(ALLOWED[folder])}")
    assert not wrong, "\n".join(wrong)


def test_each_file_begins_with_what_it_is():
    wrong = []
    for path, text in text_files():
        name = os.path.basename(path)
        if path.endswith((".c", ".h")):
            good = text.startswith("/*") or (text.startswith("// ") and text.split("\n", 2)[1].startswith("/*"))
        elif text.startswith("#!"):
            good = text.split("\n", 2)[1].startswith("#") or '"""' in text[:200]
        elif path.endswith(".py"):
            good = re.match(r'(# ctest:.*\n)?"""', text)  # CTest's settings may stand before it
        elif name.endswith((".yaml", ".yml", ".service", ".supp", ".sh")) or name in ("Dockerfile", "CMakeLists.txt"):
            good = text.startswith("#")
        elif path.endswith((".js", ".css", ".ts")):
            good = text.startswith("/*")
        else:
            continue
        if not good:
            wrong.append(path)
    assert not wrong, "no head comment: " + " ".join(wrong)


def test_files_stay_readable():
    wrong = []
    for path, text in text_files():
        lines = text.count("\n")
        if path.endswith((".c", ".h", ".ts", ".js", ".py")) and lines > 700:
            wrong.append(f"{path}: {lines} lines; let a noun move out")
        if not path.endswith((".md", ".json", ".svg", ".ndjson")) and path.endswith((".c", ".h", ".py", ".sh", ".js")):
            if re.search(r"[ \t]+$", text, re.M):
                wrong.append(f"{path}: blanks at the end of a line")
            if text and not text.endswith("\n"):
                wrong.append(f"{path}: no newline at the end")
    assert not wrong, "\n".join(wrong)


def test_nothing_is_left_open():
    words = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
    wrong = [f"{path}: {match.group(0)}" for path, text in text_files() if path.endswith((".c", ".h", ".py", ".js", ".sh"))
             for match in [words.search(text)] if match and "the original's" not in text[max(0, match.start() - 60):match.end()]]
    assert not wrong, "\n".join(wrong)


def test_no_machine_and_no_registry_is_named():
    machine = re.compile(r"(?<![\w.<>-])/(?:home|root|work|Users)/\w")
    registry = re.compile(r"registry\.(?:npm|yarn)|npmjs\.(?:org|com)|deb\.debian\.org|pypi\.org|\"resolved\":\s*\"http")
    wrong = []
    for path, text in text_files():
        for pattern in (machine, registry):
            match = pattern.search(text)
            if match and path != "tests/house/test_house.py":
                wrong.append(f"{path}: {text[max(0, match.start() - 20):match.end() + 20]!r}")
    assert not wrong, "\n".join(wrong)


def test_top_level_holds_what_tools_look_for():
    strays = [name for name in os.listdir(ROOT) if name not in TOP_LEVEL and not name.startswith(".")]
    assert not strays, strays


def test_scripts_pass_shellcheck():
    scripts = [path for path, text in text_files()
               if path.endswith(".sh") or re.match(r"#!.*\b(ba)?sh\b", text.split("\n", 1)[0])]
    failures = run_all([["shellcheck", "-x", script] for script in scripts])
    assert len(scripts) >= 3 and not failures, show(failures)


def test_commands_are_executable():
    for path in ("deploy/up", "tests/run", ".ci/run"):
        assert os.access(os.path.join(ROOT, path), os.X_OK), path
