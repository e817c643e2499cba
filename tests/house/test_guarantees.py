"""hub/GUARANTEES.md says for each promise which tests show it. Here: every promise names at least one, and each one exists."""
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = os.path.join(ROOT, "hub", "GUARANTEES.md")
NAMED = re.compile(r"`([\w/]+\.(?:py|c))::(\w+)`")


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def promises():
    """The numbered lines: (number, text). What is not promised needs no test."""
    page = read(PAGE)
    promised = page.split("## What is not promised")[0]
    return re.findall(r"^(\d+)\. (.+)$", promised, re.M)


def test_the_promises_are_numbered_without_a_hole():
    numbers = [int(number) for number, _ in promises()]
    assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) >= 20


def test_each_promise_names_a_test_and_each_named_test_exists():
    wrong, texts = [], {}
    for number, text in promises():
        named = NAMED.findall(text)
        if not named:
            wrong.append(f"{number}: names no test")
        for path, name in named:
            full = os.path.join("tests", path)
            if not os.path.exists(os.path.join(ROOT, full)):
                wrong.append(f"{number}: {full} is not there")
                continue
            if full not in texts:
                texts[full] = read(full)
            definition = rf"^def {name}\(" if path.endswith(".py") else rf"^static void {name}\("
            if not re.search(definition, texts[full], re.M):
                wrong.append(f"{number}: {full} has no {name}")
    assert not wrong, "\n".join(wrong)


def test_the_readme_leads_to_the_page():
    assert "hub/GUARANTEES.md" in read("README.md")
