"""http: small HTTP clients for tests: one request on a connection of its own, and raw bytes for what no client would send.

    answer = post(gateway.port, "/events", {"event_type": "a", "data": {}})
    assert answer.status == 202 and answer.json["seq"] > 0
    answer = request(port, "PUT", "/events", body=b"x", headers={"Content-Type": "text/plain"})
    bytes_back = raw(port, b"GET / HTTP/1.1\\r\\nHost")
"""
import http.client
import json
import socket
import time

from .waiting import seconds


class Answer:
    """status, reason, headers (http.client's message: case-insensitive .get()), body (bytes), text, json, seconds."""

    def __init__(self, response, body, took):
        self.status = response.status
        self.reason = response.reason
        self.headers = response.headers
        self.body = body
        self.seconds = took

    @property
    def text(self):
        return self.body.decode("utf-8")

    @property
    def json(self):
        return json.loads(self.body)

    def problem(self, status, code):
        """Asserts that this is an application/problem+json (RFC 9457) with this status and code; returns the object."""
        assert self.status == status, (self.status, self.body[:500])
        assert self.headers.get("Content-Type", "").split(";")[0] == "application/problem+json", self.headers.items()
        value = self.json
        assert value["status"] == status and value["code"] == code, value
        for field in ("type", "title", "detail"):
            assert isinstance(value.get(field), str) and value[field], value
        return value

    def __repr__(self):
        return f"<{self.status} {self.reason} {self.body[:300]!r}>"


def request(port, method, path, body=None, headers=None, limit=10, host="127.0.0.1"):
    """One request on a new connection. body: bytes, text, or any JSON value (then application/json)."""
    headers = dict(headers or {})
    if body is not None and not isinstance(body, (bytes, str)):
        body = json.dumps(body)
        headers.setdefault("Content-Type", "application/json")
    if isinstance(body, str):
        body = body.encode("utf-8")
    started = time.monotonic()
    connection = http.client.HTTPConnection(host, port, timeout=seconds(limit))
    try:
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        return Answer(response, response.read(), time.monotonic() - started)
    finally:
        connection.close()


def get(port, path, headers=None, limit=10):
    return request(port, "GET", path, headers=headers, limit=limit)


def post(port, path, body, headers=None, limit=10):
    return request(port, "POST", path, body=body, headers=headers, limit=limit)


class KeepAlive:
    """Several requests on one connection: KeepAlive(port).request("GET", "/health")."""

    def __init__(self, port, limit=10):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds(limit))

    def request(self, method, path, body=None, headers=None):
        headers = dict(headers or {})
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        started = time.monotonic()
        self.connection.request(method, path, body=body, headers=headers)
        response = self.connection.getresponse()
        return Answer(response, response.read(), time.monotonic() - started)

    def close(self):
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def connect(port, limit=10):
    """A plain TCP connection with a time limit on each call."""
    return socket.create_connection(("127.0.0.1", port), timeout=seconds(limit))


def raw(port, data, limit=10, half_close=False):
    """Sends these bytes and returns everything up to the server's close (or a reset). For broken and hostile heads.

    Fails with socket.timeout when the server leaves the connection open and says nothing for `limit` seconds."""
    received = b""
    with connect(port, limit) as sock:
        try:
            sock.sendall(data)
            if half_close:
                sock.shutdown(socket.SHUT_WR)
            while True:
                piece = sock.recv(65536)
                if not piece:
                    break
                received += piece
        except (ConnectionResetError, BrokenPipeError):
            pass
    return received
