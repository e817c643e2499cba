"""readme: the fenced blocks of README.md, for the tests that run them.

    ```sh          commands that run to their end, with status 0
    ```sh watch    a command that goes on until it is interrupted and prints events
    ```sh up       deploy/up           ```sh tests    tests/run          ```sh build    building and installing
    ```js          for the console of a browser that shows the page
    ```text        no commands
"""
import os
import re

from .daemons import ROOT

KINDS = {"sh", "sh watch", "sh up", "sh tests", "sh build", "js", "text"}


def blocks():
    """[(kind, text, line)] in order."""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        text = file.read()
    found = []
    for match in re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.M | re.S):
        found.append((match.group(1).strip(), match.group(2), text.count("\n", 0, match.start()) + 1))
    return found


def blocks_of(*kinds):
    return [block for block in blocks() if block[0] in kinds]
