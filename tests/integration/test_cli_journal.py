# ctest: timeout=300
"""notifyhub journal: info, verify, export and import, on folders that store_driver makes."""
import json
import os
import pty
import re
import shutil
import subprocess

import pytest

from support.cli import RunningCommand, notifyhub
from support.daemons import BIN_DIR, SANITIZER_REPORT
from support.store import driver, events, opened
from support.waiting import seconds, wait_until

RESERVED = 2 * 2 ** 24


@pytest.fixture
def journal(tmp_path):
    """A journal with two epochs, a void, ids and a note, stopped in order."""
    folder = tmp_path / "data"
    driver(folder, "commit", "resume", "reserve", 1000, "batch", 3, 10, "id", "batch", 200, 50, "note", "g/a", "x",
           "epoch", "second77", "reserve", 1000, "void", 4, "batch", 30, 20, "void", 2, "batch", 5, 5000, "clean")
    return folder


def journal_command(word, folder, *args, **more):
    return notifyhub(None, "journal", word, "--path", folder, *args, **more)


def export(folder, *args):
    done = journal_command("export", folder, *args)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout


def damage(folder, what, with_what):
    """Replaces these bytes in the data file, in old copies of pages too."""
    path = folder / "events.mdb"
    content = path.read_bytes()
    assert content.count(what) >= 1
    path.write_bytes(content.replace(what, with_what))


def test_info_tells_what_is_kept(journal):
    done = journal_command("info", journal)
    assert done.returncode == 0 and done.stderr == ""
    for line in (f"Journal: {journal}", "  format:             1", "  owner:              nobody; the last one stopped in order",
                 "  epoch:              second77 (number 2)", "  numbers kept:       5 to 41", "  reserved to:        1000",
                 "  voids:              2, 6 numbers", "  ids, notes:         235, 1"):
        assert line in done.stdout, (line, done.stdout)
    assert re.search(r"^  events: +238, \d+\.\d KiB \(203 of earlier epochs\)$", done.stdout, re.M), done.stdout

    info = json.loads(journal_command("info", journal, "--json").stdout)
    assert info["epoch"] == "second77" and info["epoch_number"] == 2 and info["format"] == 1
    assert (info["oldest"], info["newest"], info["events"], info["events_of_earlier_epochs"]) == (5, 41, 238, 203)
    assert info["voids"] == [{"from": 1, "to": 4, "reason": "not_stored"}, {"from": 35, "to": 36, "reason": "not_stored"}]
    assert info["condition"] == "clean" and info["owner"] is None and info["trimmed_arrival"] is None
    assert info["oldest_arrival"] <= info["newest_arrival"] and info["created"] <= info["oldest_arrival"]
    assert 0 < info["used_bytes"] <= info["file_bytes"] < info["map_bytes"]
    assert info["used_bytes"] + info["free_bytes"] <= info["file_bytes"]


def test_an_unclean_stop_is_told(tmp_path):
    driver(tmp_path / "j", "commit", "reserve", 10, "batch", 2, 0)
    assert "nobody; the last one did not stop in order" in journal_command("info", tmp_path / "j").stdout
    assert json.loads(journal_command("info", tmp_path / "j", "--json").stdout)["condition"] == "unclean_stop"


def test_a_good_journal_has_no_problems(journal):
    done = journal_command("verify", journal)
    assert done.returncode == 0 and done.stderr == ""
    assert re.search(r": 0 problems in \d+ pages, 238 events, 2 voids, 235 ids, 1 notes\n$", done.stdout), done.stdout
    assert json.loads(journal_command("verify", journal, "--json").stdout)["problems"] == 0
    assert journal_command("verify", journal, "--quiet").stdout == ""


def test_a_damaged_event_is_named_and_left_out_of_the_export(journal):
    whole = export(journal).splitlines()
    damage(journal, b'"correlation_id":"c-100"', b'"correlation_id":"c-101"')
    done = journal_command("verify", journal)
    assert done.returncode == 1 and "1 problem in" in done.stdout
    assert re.search(r"^event \w{8}-100 is damaged: its checksum is wrong$", done.stdout, re.M), done.stdout
    done = journal_command("export", journal)
    assert done.returncode == 1 and "event 100 of epoch number 1 is damaged and left out" in done.stderr
    assert done.stdout.splitlines() == [line for line in whole if '"c-100"' not in line]


def test_a_truncated_file_is_refused_with_advice(journal):
    path = journal / "events.mdb"
    os.truncate(path, 9 * 4096)
    for word in ("info", "verify", "export"):
        done = journal_command(word, journal)
        assert done.returncode == 1 and done.stdout == ""
        assert "is damaged: it is shorter than it was: its end is cut off" in done.stderr, done.stderr
    assert path.stat().st_size == 9 * 4096


def test_verify_says_what_is_left_of_a_file_that_does_not_open(journal):
    """The first damage hides what is behind it: that is said, and every page is searched by itself."""
    whole = len(export(journal).splitlines())
    path = journal / "events.mdb"
    content = bytearray(path.read_bytes())
    os.truncate(path, 9 * 4096)
    done = journal_command("verify", journal)
    assert done.returncode == 1 and done.stdout == "" and "its end is cut off" in done.stderr
    assert "Events, voids, ids and notes were not looked at in their places." in done.stderr
    found = re.search(r"^  (\d+) whole events in 7 pages, of which 0 cannot be read; "
                      rf"'notifyhub journal export --salvage --path {journal}' saves them$", done.stderr, re.M)
    assert found and 0 < int(found.group(1)) < whole, done.stderr
    of_epochs = re.findall(r"^  epoch number (\d): (\d+) whole events, numbers (\d+) to (\d+)$", done.stderr, re.M)
    assert of_epochs and sum(int(count) for _, count, _, _ in of_epochs) == int(found.group(1)), done.stderr
    # First pages that say nothing, and all events whole.
    path.write_bytes(b"\0" * 8192 + content[8192:])
    done = journal_command("verify", journal)
    assert done.returncode == 1 and f"  {whole} whole events in " in done.stderr
    assert "  epoch number 2: 35 whole events, numbers 5 to 41" in done.stderr
    # Where there is nothing to search nothing is said of it.
    done = journal_command("verify", journal / "nowhere")
    assert done.returncode == 1 and "whole events" not in done.stderr


def salvage(folder):
    done = journal_command("export", folder, "--salvage")
    assert done.returncode == 0 and "events found in" in done.stderr, done.stderr
    return done.stdout.splitlines()


def test_a_cut_file_gives_back_what_is_in_front_of_the_cut(journal, tmp_path):
    whole = export(journal).splitlines()
    assert salvage(journal) == whole
    path = journal / "events.mdb"
    content = path.read_bytes()
    found = []
    for pages in (0, 1, 2, 5, 10, 20, 30, 40, 60):
        path.write_bytes(content[:pages * 4096 + 100])
        found.append(salvage(journal))
        assert set(found[-1]) <= set(whole)
        if found[-1] and len(found[-1]) < len(whole):
            name = tmp_path / f"new{pages}"
            done = journal_command("import", name, input_text="".join(f"{line}\n" for line in found[-1]))
            assert done.returncode == 0 and export(name).splitlines() == found[-1], done.stderr
    assert found[0] == [] and found[-1] == whole and any(0 < len(lines) < len(whole) for lines in found)


def test_overwritten_pages_cost_what_was_in_them(journal):
    whole = export(journal).splitlines()
    path = journal / "events.mdb"
    content = bytearray(path.read_bytes())
    content[:2 * 4096] = os.urandom(2 * 4096)
    path.write_bytes(content)
    assert journal_command("export", journal).returncode == 1
    assert salvage(journal) == whole
    for page in range(2, len(content) // 4096, 2):
        content[page * 4096:page * 4096 + 64] = os.urandom(64)
    path.write_bytes(content)
    found = salvage(journal)
    assert found == [line for line in whole if line in set(found)] and len(found) < len(whole)


def test_what_is_no_journal_is_said(tmp_path):
    for word in ("info", "verify", "export"):
        done = journal_command(word, tmp_path / "nowhere")
        assert done.returncode == 1 and "does not exist" in done.stderr
        done = journal_command(word, tmp_path)
        assert done.returncode == 1 and f"there is no journal in {tmp_path}" in done.stderr
    (tmp_path / "events.mdb").write_bytes(b"a diary, not a journal" * 1000)
    done = journal_command("info", tmp_path)
    assert done.returncode == 1 and "it is no LMDB file" in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["events.mdb"]


def test_an_export_has_every_event_as_it_was(journal):
    dumped = events(driver(journal, "read", "dump"))
    lines = export(journal).splitlines()
    assert [json.loads(line) for line in lines] == dumped and len(lines) == 238
    assert [e["seq"] for e in dumped] == [*range(1, 204), *range(5, 35), *range(37, 42)]


def test_an_export_may_begin_later_and_be_of_some_types(journal):
    whole = [json.loads(line) for line in export(journal).splitlines()]
    first = whole[0]["epoch"]

    def some(*args):
        return [json.loads(line) for line in export(journal, *args).splitlines()]

    assert some("--since", f"{first}-200") == whole[200:]
    assert some("--since", "second77-0") == whole[203:]
    assert some("--since", "30") == [e for e in whole if e["epoch"] == "second77" and e["seq"] > 30]
    assert some("--since", "earliest") == whole
    assert some("--since", "2020-01-01T00:00:00Z") == whole
    assert some("--since", "2100-01-01T00:00:00Z") == []
    assert some("--event-type", "count.1") == [e for e in whole if e["event_type"] == "count.1"]
    assert some("-e", "count.1", "-e", "*.2") == [e for e in whole if e["event_type"] != "count.0"]
    done = journal_command("export", journal, "--since", "aaaaaaaa-1")
    assert done.returncode == 1 and "never had the epoch aaaaaaaa; it is in epoch second77" in done.stderr
    done = journal_command("export", journal, "--since", "yesterday")
    assert done.returncode == 2 and "--since yesterday: allowed are" in done.stderr


def test_export_import_export_gives_the_same_bytes(journal, tmp_path):
    lines = export(journal)
    file = tmp_path / "events.ndjson"
    file.write_text(lines)
    done = journal_command("import", tmp_path / "restored", file)
    assert done.returncode == 0 and done.stdout == "" and "238 events imported" in done.stderr, done.stderr
    assert "the last one is second77-41" in done.stderr
    assert export(tmp_path / "restored") == lines
    assert journal_command("verify", tmp_path / "restored").returncode == 0
    # The same through a pipe, and once more from the copy.
    done = journal_command("import", tmp_path / "again", input_text=export(tmp_path / "restored"))
    assert done.returncode == 0 and export(tmp_path / "again") == lines


def test_a_hub_goes_on_behind_a_void_after_an_import(journal, tmp_path):
    assert journal_command("import", tmp_path / "restored", input_text=export(journal)).returncode == 0
    done = driver(tmp_path / "restored", "commit", "resume", "reserve", 10, "batch", 1, 0, "clean")
    assert opened(done) == {"epoch": "second77", "reserved": 41 + RESERVED, "clean": False, "oldest": 5, "newest": 41}
    assert ("resumed", str(41 + RESERVED)) in done.facts and ("committed", str(42 + RESERVED)) in done.facts
    info = json.loads(journal_command("info", tmp_path / "restored", "--json").stdout)
    assert info["voids"][-1] == {"from": 42, "to": 41 + RESERVED, "reason": "unclean_stop"}
    assert journal_command("verify", tmp_path / "restored").returncode == 0


@pytest.fixture
def swallowed(tmp_path):
    """A journal with voids of both reasons in two epochs, of a hub that was killed twice."""
    folder = tmp_path / "swallowed"
    driver(folder, "commit", "reserve", 100, "batch", 3, 10)
    driver(folder, "commit", "resume", "reserve", 100, "void", 4, "batch", 2, 10, "epoch", "second77", "reserve", 30)
    driver(folder, "commit", "resume", "reserve", 1000, "batch", 3, 10, "void", 2, "batch", 2, 10, "void", 3, "clean")
    return folder


def voids_of(folder):
    """Of the current epoch, as a hub and `info` see them."""
    return [(v["from"], v["to"], v["reason"]) for v in json.loads(journal_command("info", folder, "--json").stdout)["voids"]]


def test_an_import_keeps_the_reasons_of_voids(swallowed, tmp_path):
    kept = [(1, 30, "unclean_stop"), (34, 35, "not_stored"), (38, 40, "not_stored")]
    assert voids_of(swallowed) == kept
    lines = export(swallowed)
    told = [e for e in map(json.loads, lines.splitlines()) if e["event_type"] == "hub.void"]
    first = json.loads(lines.splitlines()[0])["epoch"]
    assert [(e["epoch"], e["seq"], e["data"]) for e in told] == [
        (first, 4, {"from": 4, "to": 100, "reason": "unclean_stop"}),
        ("second77", 1, {"from": 1, "to": 30, "reason": "unclean_stop"}),
        ("second77", 38, {"from": 38, "to": 40, "reason": "not_stored"})]
    done = journal_command("import", tmp_path / "restored", input_text=lines)
    assert done.returncode == 0 and "10 events imported" in done.stderr and "the last one is second77-40" in done.stderr
    assert voids_of(tmp_path / "restored") == kept
    assert export(tmp_path / "restored") == lines
    counts = [json.loads(journal_command("verify", folder, "--json").stdout) for folder in (swallowed, tmp_path / "restored")]
    assert [(c["problems"], c["events"], c["voids"]) for c in counts] == [(0, 10, 5)] * 2
    # Numbers of a void at the end are not given out again.
    done = driver(tmp_path / "restored", "commit", "resume", "reserve", 10, "batch", 1, 0, "clean")
    assert ("resumed", str(40 + RESERVED)) in done.facts


def test_a_part_has_the_voids_that_lie_in_it(swallowed):
    def some(*args):
        return [(e["event_type"], e["seq"], e["data"].get("from")) for e in map(json.loads, export(swallowed, *args).splitlines())]

    assert some("--since", "32") == [("count.0", 33, None), ("count.0", 36, None), ("count.1", 37, None), ("hub.void", 38, 38)]
    assert some("--since", "second77-10")[0] == ("hub.void", 11, 11)
    assert ("hub.void", 1, 1) not in some("--event-type", "count.1") and ("hub.void", 1, 1) in some("-e", "hub.*")
    assert some("--since", "2100-01-01T00:00:00Z") == []


def test_an_import_of_a_part_goes_on_in_a_new_epoch(journal, tmp_path):
    part = export(journal, "--event-type", "count.1")
    assert journal_command("import", tmp_path / "part", "--new-epoch", input_text=part).returncode == 0
    assert export(tmp_path / "part") == part
    info = json.loads(journal_command("info", tmp_path / "part", "--json").stdout)
    assert info["epoch"] != "second77" and (info["newest"], info["reserved_to"], info["condition"]) == (0, 0, "clean")
    assert journal_command("verify", tmp_path / "part").returncode == 0


def test_an_import_replaces_nothing(journal, tmp_path):
    before = (journal / "events.mdb").read_bytes()
    done = journal_command("import", journal, input_text=export(journal))
    assert done.returncode == 4 and f"there is a journal in {journal} already" in done.stderr
    assert (journal / "events.mdb").read_bytes() == before


LINE = '{"event_type":"a","source_service":"s","data":1,"timestamp":5,"correlation_id":"c","seq":%d,"epoch":"%s"}\n'


VOID = ('{"event_type":"hub.void","source_service":"s","data":{"from":%d,"to":%d,"reason":"%s"},"timestamp":5,'
        '"correlation_id":"c","seq":%d,"epoch":"aaaaaaaa"}\n')


@pytest.mark.parametrize("text, why", [
    ("", "there is no event to import"),
    ("hello\n", "line 1: is no event"),
    (LINE % (1, "aaaaaaaa") + "{}\n", "line 2: is no event"),
    (LINE % (2, "aaaaaaaa") + LINE % (2, "aaaaaaaa"), "line 2: has a number that is not larger"),
    (LINE % (1, "aaaaaaaa") + LINE % (1, "bbbbbbbb") + LINE % (2, "aaaaaaaa"), "line 3: is of an epoch that had ended before"),
    (LINE % (2 ** 48, "aaaaaaaa"), "line 1: is no event"),
    (LINE % (0, "aaaaaaaa"), "line 1: is no event"),
    ((LINE % (1, "aaaaaaaa")).replace("\n", "\r\n"), "line 1: is no event"),
    (LINE % (1, "aaaaaaaa") + "\n", "line 2: is no event"),
    (VOID % (2, 1, "unclean_stop", 2), "line 1: is no void"),
    (VOID % (2, 3, "because", 2), "line 1: is no void"),
    (VOID % (2, 3, "unclean_stop", 3), "line 1: is no void"),
    (VOID % (2, 2 ** 48, "unclean_stop", 2), "line 1: is no void"),
    (VOID % (2, 5, "unclean_stop", 2) + LINE % (5, "aaaaaaaa"), "line 2: has a number that is not larger"),
    (LINE % (3, "aaaaaaaa") + VOID % (2, 5, "unclean_stop", 2), "line 2: has a number that is not larger"),
    (VOID % (1, 2, "unclean_stop", 1), "there is no event to import"),
])
def test_bad_lines_are_named_and_leave_nothing(text, why, tmp_path):
    done = journal_command("import", tmp_path / "new", input_text=text)
    assert done.returncode == 1 and why in done.stderr and "nothing was imported" in done.stderr, done.stderr
    assert not (tmp_path / "new" / "events.mdb").exists()
    # And the folder can be used for the next try; a missing newline at the end is no mistake.
    done = journal_command("import", tmp_path / "new", input_text=(LINE % (1, "aaaaaaaa")).rstrip("\n"))
    assert done.returncode == 0, done.stderr


def test_an_import_that_is_killed_is_no_journal(journal, tmp_path):
    data = tmp_path / "new" / "events.mdb"
    with subprocess.Popen([os.path.join(BIN_DIR, "notifyhub"), "journal", "import", "--path", tmp_path / "new"],
                          stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        process.stdin.write(export(journal).encode())  # the pipe stays open: more could come
        process.stdin.flush()
        wait_until(data.exists, 30, "the import to begin")
        process.kill()
    for word in ("info", "verify", "export"):
        done = journal_command(word, tmp_path / "new")
        assert done.returncode == 1 and "did not come to its end; delete the folder and import again" in done.stderr


def test_looking_works_beside_a_hub_that_writes(tmp_path):
    folder = tmp_path / "live"
    words = ["batch", 50, 100, "trim", 100_000] * 400
    with subprocess.Popen([os.path.join(BIN_DIR, "store_driver"), folder, "interval", "reserve", "100000", *map(str, words)],
                          stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout.readline().startswith("opened")
        assert writer.stdout.readline().startswith("reserved")
        while writer.poll() is None:
            for word in ("info", "verify", "export"):
                done = journal_command(word, folder)
                assert done.returncode == 0, (word, done.stdout, done.stderr)
                if word == "export":
                    seqs = [json.loads(line)["seq"] for line in done.stdout.splitlines()]
                    assert seqs == sorted(set(seqs))
            if writer.stdout.readline() == "":
                break
            for _ in range(40):
                writer.stdout.readline()
        writer.stdout.read()
        assert writer.wait(seconds(60)) == 0
    assert journal_command("verify", folder).returncode == 0


def test_the_owner_is_named_and_a_second_one_refused(journal):
    with subprocess.Popen([os.path.join(BIN_DIR, "store_driver"), journal, "commit", *["sync"] * 20000],
                          stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout.readline().startswith("opened")
        info = json.loads(journal_command("info", journal, "--json").stdout)
        second = driver(journal, "commit", check=False)
        writer.terminate()
        writer.stdout.read()
    assert info["condition"] == "in_use" and info["owner"].startswith(f"pid {writer.pid} on ")
    assert second.returncode == 3 and f"is in use by another hub (pid {writer.pid} on " in second.stderr


@pytest.mark.parametrize("args, why", [
    ((), "one of info, verify, export, import is expected"),
    (("dance",), "one of info, verify, export, import is expected"),
    (("info", "more"), 'unexpected argument "more"'),
    (("info", "--since", "1"), "--since, --event-type and --salvage belong to export"),
    (("verify", "-e", "a"), "--since, --event-type and --salvage belong to export"),
    (("import", "--salvage"), "--since, --event-type and --salvage belong to export"),
    (("export", "--salvage", "--since", "1"), "--salvage finds events of any time"),
    (("export", "--new-epoch"), "--new-epoch belongs to import"),
    (("import", "a", "b"), 'unexpected argument "b"'),
])
def test_mistakes_are_explained(args, why):
    done = notifyhub(None, "journal", *args)
    assert done.returncode == 2 and why in done.stderr, done.stderr


def test_the_examples_of_help_work(journal, tmp_path):
    text = notifyhub(None, "journal", "--help").stdout
    lines = [line.strip() for line in text.split("\nExamples:\n", 1)[1].split("\n\n", 1)[0].splitlines()]
    assert len(lines) >= 5
    assert journal == tmp_path / "data"
    env = {"PATH": f"{BIN_DIR}:/usr/bin:/bin", "HOME": str(tmp_path)}
    env.update({name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")})
    for line in lines:
        if "jq" in line and not shutil.which("jq"):
            line = re.sub(r"\| jq.*", "| cat", line)
        done = subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, env=env, cwd=tmp_path,
                              timeout=seconds(60), check=False)
        assert done.returncode == 0, (line, done.returncode, done.stdout, done.stderr)
        assert not SANITIZER_REPORT.search(done.stderr), done.stderr
    assert export(tmp_path / "restored") == export(tmp_path / "data") == export(tmp_path / "copy")


def test_a_reader_that_goes_away_ends_the_export(tmp_path):
    driver(tmp_path / "big", "interval", "reserve", 100000, *["batch", 1000, 1000] * 20)
    with RunningCommand(None, "journal", "export", "--path", tmp_path / "big") as command:
        command.wait_lines(1)
        command.interrupt()
        assert command.wait() in (0, 1)
    done = subprocess.run(["bash", "-c", f"'{BIN_DIR}/notifyhub' journal export --path '{tmp_path}/big' | head -n 1"],
                          capture_output=True, text=True, timeout=seconds(60), check=False)
    assert done.stdout.count("\n") == 1 and not SANITIZER_REPORT.search(done.stderr)


def on_terminal(*args):
    """Runs the command with a terminal for stderr: (exit status, what the terminal got)."""
    master, slave = pty.openpty()
    with subprocess.Popen([os.path.join(BIN_DIR, "notifyhub"), "journal", *map(str, args)], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=slave) as process:
        os.close(slave)
        seen = b""
        try:
            while piece := os.read(master, 65536):
                seen += piece
        except OSError:  # the other side is closed: that is how a terminal says that this was all
            pass
        os.close(master)
        return process.wait(seconds(60)), seen.decode()


def test_progress_is_shown_to_people_and_wiped_out_again(tmp_path):
    """export, verify and import say how far they are where stderr is a terminal, on a line that is gone at the end."""
    driver(tmp_path / "big", "interval", "reserve", 100000, *["batch", 1000, 100] * 20)
    lines = tmp_path / "lines"
    lines.write_text(export(tmp_path / "big"))
    for args, said in ((("export", "--path", tmp_path / "big"), r"\rexported: \d+ of 20000 \(\d+ %\)"),
                       (("verify", "--path", tmp_path / "big"), r"\r\w[^\r]*: \d+ of \d+ \(\d+ %\)"),
                       (("import", "--path", tmp_path / "new", lines), r"\rimported: \d+")):
        status, seen = on_terminal(*args)
        assert status == 0 and re.search(said, seen), (args, seen)
        assert not re.search(said, seen.rsplit("\r\033[K", 1)[1]), (args, seen)
    assert on_terminal("export", "--quiet", "--path", tmp_path / "big") == (0, "")
