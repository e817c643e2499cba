"""waiting: deadlines for tests. Nothing here sleeps for a fixed time: a condition is looked at often, until a deadline.

Sanitizers and valgrind make programs many times slower; NHUB_TEST_TIMEOUT_FACTOR stretches every deadline.
"""
import contextlib
import http.client
import os
import time

FACTOR = float(os.environ.get("NHUB_TEST_TIMEOUT_FACTOR", "1"))


def seconds(value):
    """A time limit of `value` seconds on an ordinary build, stretched for the slow ones."""
    return value * FACTOR


def wait_until(predicate, limit=10.0, what=None, poll=0.01):
    """Calls predicate() until it returns something true, and returns that.

    Fails with AssertionError after `limit` (stretched) seconds. `what` says what was waited for: a text, or a function
    that is called at the end, so that the message can show the state of that moment.
    """
    end = time.monotonic() + seconds(limit)
    while True:
        result = predicate()
        if result:
            return result
        if time.monotonic() >= end:
            text = what() if callable(what) else what
            raise AssertionError(f"not within {seconds(limit):.1f} s: {text or predicate}")
        time.sleep(poll)


def within(limit, attempt, tries=3):
    """Calls attempt() until one call returns less than `limit` (stretched) seconds; returns how many calls it took.

    For promises of a short time on machines that have stalls of their own. Each try has to be whole in itself, with a bad
    event or a crowd of its own: then a stall of the machine spoils one of them, and a defect spoils all. Between them is a
    pause, so that a stall may pass, and what the daemon does once a second at most is done in each try. Fails with
    AssertionError after `tries`.
    """
    took = []
    while len(took) < tries:
        if took:
            time.sleep(1.1)
        took.append(attempt())
        if took[-1] < seconds(limit):
            return len(took)
    raise AssertionError(f"each of {tries} tries took longer than {seconds(limit):.3g} s: {[round(t, 3) for t in took]}")


class Stalled(Exception):
    """A try that was, by its own clock, kept from what it had to do in time: its failure tells of the machine."""


@contextlib.contextmanager
def stalled_after(limit, started):
    """For what has to be done before a daemon is `limit` seconds further than at `started`: a failure that comes later
    raises Stalled."""
    try:
        yield
    except (OSError, AssertionError, http.client.HTTPException) as error:
        took = time.monotonic() - started
        if took < limit:
            raise
        raise Stalled(f"{took:.1f} s: {error}") from error


def unstalled(attempt, tries=5):
    """Calls attempt() until one call does not raise Stalled; returns what that one returned.

    For tests that have to do something while a daemon does something else that takes a set time. As with within(), each
    try has to be whole in itself. Anything else that a try raises is a failure at once.
    """
    stalls = []
    while len(stalls) < tries:
        try:
            return attempt()
        except Stalled as stall:
            stalls.append(str(stall))
    raise AssertionError(f"each of {tries} tries was held up: {stalls}")
