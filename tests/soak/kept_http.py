"""kept_http: one request and its answer on an HTTP connection that is kept."""
import socket


def connect(port, answer_s):
    sock = socket.create_connection(("127.0.0.1", port), timeout=2)
    sock.settimeout(answer_s)
    return sock


def exchange(sock, method, path, body=None, kind="application/json"):
    """-> (status, body, whether the connection stays). OSError: the connection broke, or no answer came in time."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    if body is not None:
        head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    sock.sendall(head.encode() + b"\r\n" + (body or b""))
    data = _piece(sock)
    while b"\r\n\r\n" not in data:
        data += _piece(sock)
    head, first = data.split(b"\r\n\r\n", 1)
    lines = head.decode("iso-8859-1").lower().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines[1:])
    pieces, size = [first], len(first)
    while size < int(fields["content-length"]):
        pieces.append(_piece(sock))
        size += len(pieces[-1])
    return int(lines[0].split()[1]), b"".join(pieces), fields.get("connection") != "close"


def _piece(sock):
    piece = sock.recv(1 << 18)
    if not piece:
        raise ConnectionError("closed")
    return piece
