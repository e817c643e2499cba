"""tcp_proxy: a TCP relay in front of a daemon's port, for faults on the way: connections that break while something is
under way, answers that do not come.

    proxy = TcpProxy(hub.requests)          # clients connect to proxy.port
    proxy.hold_answers()                    # requests pass, answers stay in the relay
    proxy.cut()                             # breaks every connection, what is held is lost; new ones are accepted
    proxy.pass_answers()
"""
import select
import socket
import threading

from .waiting import wait_until


class TcpProxy:
    def __init__(self, target_port):
        self.target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._wake_out, self._wake_in = socket.socketpair()
        self._lock = threading.Lock()
        self._pairs = []  # (client, server)
        self._holds_answers = self._is_holding = self._is_closed = self._wants_cut = self._refuses = False
        self.connections = 0
        self.request_bytes = self.held_bytes = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def hold_answers(self):
        with self._lock:
            self._holds_answers = True
        self._wake()
        wait_until(lambda: self._is_holding, 10, "the relay to hold answers")

    def pass_answers(self):
        with self._lock:
            self._holds_answers = False
        self._wake()

    def refuse(self, refuses=True):
        """While it refuses, new connections are closed at once."""
        with self._lock:
            self._refuses = refuses

    def wait_held(self, count=1, limit=10):
        """Until the daemon has answered so many bytes that nobody got."""
        wait_until(lambda: self.held_bytes >= count, limit, "answers to hold")

    def cut(self):
        """Returns when the connections of before are gone."""
        with self._lock:
            self._wants_cut = True
        self._wake()
        wait_until(lambda: not self._wants_cut, 10, "the cut")

    def close(self):
        self._is_closed = True
        self._wake()
        self._thread.join(10)
        for sock in (self._listener, self._wake_out, self._wake_in):
            sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _wake(self):
        self._wake_out.send(b"x")

    def _close_pairs(self, pairs):
        for pair in pairs:
            self._pairs.remove(pair)
            for sock in pair:
                sock.close()

    def _accept(self):
        client, _ = self._listener.accept()
        try:
            if self._refuses:
                raise ConnectionError("refused by the test")
            server = socket.create_connection(("127.0.0.1", self.target_port), 5)
        except OSError:
            client.close()
            return
        self.connections += 1
        self._pairs.append((client, server))

    def _relay(self, source, sink):
        """False when the pair is over."""
        try:
            data = source.recv(1 << 16)
            if data:
                sink.sendall(data)
            return bool(data)
        except OSError:
            return False

    def _serve(self, readable, pair, holds):
        client, server = pair
        if client in readable and not self._relay(client, server):
            return False
        if server not in readable:
            return True
        if holds:
            try:
                self.held_bytes = len(server.recv(1 << 16, socket.MSG_PEEK))
                return self.held_bytes > 0
            except OSError:
                return False
        return self._relay(server, client)

    def _run(self):
        while not self._is_closed:
            with self._lock:
                holds, cuts = self._holds_answers, self._wants_cut
            self._is_holding = holds
            if cuts:
                self._close_pairs(list(self._pairs))
                self.held_bytes = 0
                with self._lock:
                    self._wants_cut = False
            clients = [client for client, _ in self._pairs]
            # What is held stays unread, so the server's side is only looked at now and then.
            servers = [] if holds else [server for _, server in self._pairs]
            readable, _, _ = select.select([self._listener, self._wake_in, *clients, *servers], [], [], 0.01 if holds else 1)
            if holds:
                readable += select.select([server for _, server in self._pairs], [], [], 0)[0]
            if self._wake_in in readable:
                self._wake_in.recv(4096)
            over = [pair for pair in self._pairs if not self._serve(readable, pair, holds)]
            self._close_pairs(over)
            if self._listener in readable:
                self._accept()
        self._close_pairs(list(self._pairs))
