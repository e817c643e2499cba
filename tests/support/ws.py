"""ws: a WebSocket client for tests (python3-websocket), read by a thread, messages kept in order.

    with WsClient(gateway.port, "/ws?event_type=a") as ws:
        ws.wait_op("welcome")
        ws.send({"op": "publish", "id": 1, "event": {...}})
        ws.wait_op("published", id=1)
        ws.wait_events(1)
"""
import json
import socket
import struct
import threading

import websocket

from .waiting import seconds, wait_until

# This version does not know 1012 (service restart) and 1013 (try again later), registered with IANA for RFC 6455.
websocket._abnf.VALID_CLOSE_STATUS += (1012, 1013)  # pylint: disable=protected-access


class WsClient:
    """`messages` (decoded JSON, all of them), `events` (those without "op"), `close_code`, `close_reason`, `ended`.

    A failed upgrade raises websocket.WebSocketBadStatusException with .status_code."""

    def __init__(self, port, path="/ws", subprotocols=None, headers=None, origin=None, limit=15, receive_buffer=None):
        self.limit = limit
        self.messages = []
        self.texts = []
        self.close_code = None
        self.close_reason = ""
        self.ended = False
        self.error = None
        self._paused = threading.Event()
        self._paused.set()
        options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
        if receive_buffer:
            options.append((socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer))
        arguments = {"origin": origin} if origin else {"suppress_origin": True}
        self.socket = websocket.create_connection(
            f"ws://127.0.0.1:{port}{path}", timeout=seconds(limit), subprotocols=subprotocols, header=headers or {},
            sockopt=options, enable_multithread=True, **arguments)
        self.socket.settimeout(None)
        self.subprotocol = self.socket.subprotocol
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def events(self):
        return [m for m in list(self.messages) if "op" not in m]

    def ops(self, op, **fields):
        """The messages with this "op" and these further fields."""
        return [m for m in list(self.messages)
                if m.get("op") == op and all(m.get(k) == v for k, v in fields.items())]

    def send(self, value):
        """An object as JSON, or text as it is."""
        self.socket.send(value if isinstance(value, str) else json.dumps(value))

    def send_frame(self, opcode, payload, fin=1):
        """One frame as it is: websocket.ABNF.OPCODE_… For fragments, binary and broken text."""
        frame = websocket.ABNF(fin=fin, opcode=opcode, mask=1, data=payload)
        self.socket.sock.sendall(frame.format())

    def send_bytes(self, data):
        """Bytes past all framing."""
        self.socket.sock.sendall(data)

    def wait(self, predicate, limit=None, what="the WebSocket"):
        return wait_until(lambda: predicate(self), limit or self.limit, lambda: f"{what}; {self.describe()}")

    def wait_op(self, op, limit=None, **fields):
        """Waits for a message with this "op" (and fields) and returns the first."""
        self.wait(lambda ws: ws.ops(op, **fields), limit, f"op {op} {fields}")
        return self.ops(op, **fields)[0]

    def wait_events(self, count, limit=None):
        self.wait(lambda ws: len(ws.events) >= count, limit, f"{count} events")
        return self.events

    def wait_close(self, limit=None):
        """Waits for the end of the connection; returns the close code (None when it just broke)."""
        self.wait(lambda ws: ws.ended, limit, "the close")
        return self.close_code

    def describe(self):
        return (f"{len(self.messages)} messages, {len(self.events)} events, ended={self.ended}, code={self.close_code} "
                f"{self.close_reason!r}, error={self.error}, last: {self.texts[-5:]}")

    def pause(self):
        self._paused.clear()

    def unpause(self):
        self._paused.set()

    def close(self):
        self._paused.set()
        try:
            self.socket.send_close()
        except (OSError, websocket.WebSocketException):
            pass
        self._thread.join(seconds(2))
        self.socket.shutdown()
        self._thread.join(seconds(10))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _run(self):
        try:
            while True:
                self._paused.wait()
                opcode, data = self.socket.recv_data(control_frame=True)
                if opcode == websocket.ABNF.OPCODE_TEXT:
                    text = data.decode("utf-8")
                    self.texts.append(text)
                    self.messages.append(json.loads(text))
                elif opcode == websocket.ABNF.OPCODE_CLOSE:
                    if len(data) >= 2:
                        self.close_code = struct.unpack("!H", data[:2])[0]
                        self.close_reason = data[2:].decode("utf-8", "replace")
                    break
        except (OSError, websocket.WebSocketException, AttributeError, ValueError) as error:
            self.error = repr(error)
        finally:
            self.ended = True
