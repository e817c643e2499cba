"""never_reading: subscribers that do not take what they asked for."""
import socket
import threading

from .http import get
from .waiting import wait_until

WS = ("GET /ws?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
SSE = "GET /events?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n"


def figures(gateway):
    """The gateway's part of /stats, as soon as it gets to answering."""
    answer = wait_until(lambda: (lambda a: a if a.status == 200 else None)(get(gateway.port, "/stats", limit=60)), 60, "/stats")
    return answer.json["gateway"]


class NeverReading:
    """Clients that connect, and come back when they were sent away, and never read a byte."""

    def __init__(self, gateway, door, query, count):
        self.gateway, self.door, self.head = gateway, door, (WS if door == "ws" else SSE).format(query=query).encode()
        self._stop = threading.Event()
        self.sockets = [self._connect() for _ in range(count)]
        self.comebacks = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _connect(self):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(30)
        sock.connect(("127.0.0.1", self.gateway.port))
        sock.sendall(self.head)
        return sock

    def _run(self):
        """A client that does not read does not see that it was sent away either: so they are asked for."""
        turn = 0
        while not self._stop.wait(0.2):
            subscribers = figures(self.gateway)["subscribers"][self.door]
            for _ in range(max(0, len(self.sockets) - subscribers)):
                if self._stop.is_set():
                    return
                self.sockets[turn].close()
                try:
                    self.sockets[turn] = self._connect()
                except OSError:
                    break  # too busy; the next look comes soon
                self.comebacks += 1
                turn = (turn + 1) % len(self.sockets)

    def close(self):
        self._stop.set()
        self._thread.join()
        for sock in self.sockets:
            sock.close()
