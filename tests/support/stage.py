"""stage: lets a browser's scenario (tests/e2e/dashboard/*.mjs) start, kill and feed the daemons of a pytest test.

The scenario runs in Node and asks over HTTP on loopback; what it may ask for are the methods of Stage that begin with do_.
"""
import http.server
import json
import os
import re
import shutil
import subprocess
import threading
import time

import pytest

from .daemons import BIN_DIR, ROOT
from .http import get, post, request
from .waiting import seconds, wait_until
from .zmq_clients import Push

FOLDER = os.path.join(ROOT, "tests", "e2e", "dashboard")


def scenarios(name):
    """The names of a file's scenarios, in order."""
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        return re.findall(r"^export async function (\w+)\(", file.read(), re.M)


class Stage:
    """One hub and one gateway, and somebody who publishes."""

    def __init__(self, hub, gateway):
        self.hub, self.gateway = hub, gateway
        self._push = Push(hub)
        self._lock = threading.Lock()  # a socket belongs to one thread at a time
        self._rate = None
        self._enough = threading.Event()
        self._sent = 0
        stage = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):  # noqa: N802 (the name that http.server asks for)
                wish = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                try:
                    answer = {"value": getattr(stage, "do_" + wish["action"])(**wish["args"])}
                except Exception as error:  # whatever it is, the scenario is told
                    answer = {"error": f"{type(error).__name__}: {error}"}
                body = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self):
        if self._rate:
            self.do_end_rate()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._push.close()

    # --- what a scenario may ask for ---

    def do_push(self, events):
        with self._lock:
            self._push.send(*[json.dumps(event) for event in events])

    def do_push_text(self, texts):
        with self._lock:
            self._push.send(*texts)

    def do_post(self, path, body):
        answer = post(self.gateway.port, path, body)
        return {"status": answer.status, "body": answer.text}

    def do_request(self, method, path, body=None):
        answer = request(self.gateway.port, method, path, body)
        return {"status": answer.status, "body": answer.text}

    def do_get(self, path):
        return get(self.gateway.port, path).json

    def do_wait_received(self, seq):
        """Until the gateway has seen this number."""
        wait_until(lambda: get(self.gateway.port, "/stats").json["gateway"]["link"]["received_seq"] >= seq, 30, "the events")

    def do_kill(self, what):
        getattr(self, what).kill()

    def do_stop(self, what):
        getattr(self, what).stop()

    def do_start(self, what):
        getattr(self, what).start()

    def do_forget(self):
        """Takes the journal away from a hub that does not run: the next one has another epoch."""
        shutil.rmtree(self.hub.journal_folder)

    def do_wait_connected(self):
        self.gateway.wait_connected(30)

    def do_epoch(self):
        return self.hub.epoch

    def do_start_rate(self, per_s, duration_s, type):  # noqa: A002 (the scenario's word)
        """Publishes that many events a second, in portions of ten milliseconds: all of them, later if need be."""
        def feed():
            started = time.monotonic()
            with Push(self.hub) as push:
                while self._sent < per_s * duration_s and not self._enough.is_set():
                    due = min(int((time.monotonic() - started) * per_s), per_s * duration_s)
                    while self._sent < due:
                        push.send(json.dumps({"event_type": type, "source_service": "load", "data": {"n": self._sent, "text": "x" * 80}}))
                        self._sent += 1
                    time.sleep(0.01)
        self._sent = 0
        self._enough.clear()
        self._rate = threading.Thread(target=feed)
        self._rate.start()

    def do_rate_sent(self):
        """Waits until all is published; how many that were."""
        self._rate.join()
        return self._sent

    def do_end_rate(self):
        """For a rate that lasts until the scenario has seen what it wants of it."""
        self._enough.set()
        return self.do_rate_sent()


def play(hub, gateway, file, name, limit=90, stage_class=Stage):
    """Plays a scenario; fails with what it said."""
    if not os.path.isdir(os.path.join(os.path.dirname(BIN_DIR), "share", "notifyhub", "web", "assets")):
        pytest.skip("this build tree has no dashboard (tests/run builds with -DNHUB_WEB=on, where that is an error)")
    stage = stage_class(hub, gateway)
    env = {**os.environ, "NHUB_STAGE": f"http://127.0.0.1:{stage._server.server_address[1]}/", "NHUB_GATEWAY_URL": gateway.url,
           "HOME": gateway.folder, "XDG_CONFIG_HOME": gateway.folder, "XDG_CACHE_HOME": gateway.folder}
    try:
        done = subprocess.run(["node", os.path.join(FOLDER, "run.mjs"), "./" + file, name], env=env, capture_output=True, text=True,
                              timeout=seconds(limit), check=False)
    finally:
        stage.close()
    assert done.returncode == 0, f"{file} {name}:\n{done.stdout}\n{done.stderr}"
    return done.stdout
