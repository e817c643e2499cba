"""workers: processes of the checker, each with a pipe to the arena: one command, one answer.

A worker class has `handle(word, *arguments)` and `step(timeout)`; `control_ready()` says whether a command waits.
"""
import multiprocessing
import os
import signal
import sys
import traceback


def _run(make, arguments, control):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the arena ends its workers
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        worker = make(control, *arguments)
        while True:
            worker.step(0.1)
            while control.poll():
                word, *rest = control.recv()
                if word == "end":
                    worker.handle("end")
                    control.send(("ok", None))
                    return
                control.send(("ok", worker.handle(word, *rest)))
    except EOFError:
        return
    except BaseException:  # pylint: disable=broad-except
        text = traceback.format_exc()
        print(text, file=sys.stderr)
        try:
            control.send(("failed", text))
        except OSError:
            pass
        os._exit(1)


def check_alive(threads, what):
    """The threads of a worker end with it and never before."""
    dead = [thread.spec for thread in threads if not thread.is_alive()]
    if dead:
        raise RuntimeError(f"{what} ended: {dead}")


class Worker:
    """The arena's end of a worker process."""

    def __init__(self, make, *arguments):
        self.name = make.__name__
        self.control, far = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=_run, args=(make, arguments, far), daemon=True)
        self.process.start()
        far.close()

    def send(self, word, *arguments):
        self.control.send((word, *arguments))

    def receive(self, limit=120):
        if not self.control.poll(limit):
            raise RuntimeError(f"the checker's own {self.name} does not answer within {limit} s")
        state, value = self.control.recv()
        if state != "ok":
            raise RuntimeError(f"the checker's own {self.name} failed:\n{value}")
        return value

    def ask(self, word, *arguments, limit=120):
        self.send(word, *arguments)
        return self.receive(limit)

    def end(self):
        try:
            self.ask("end", limit=20)
        except (RuntimeError, OSError, EOFError):
            pass
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
