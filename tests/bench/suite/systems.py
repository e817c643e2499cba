"""systems: starts and stops what is measured: our daemons, the baselines, and the peers that a user would pick instead.

Each is a context manager with `pids` (the processes whose CPU time and memory count) and its ports. Every process is
alone on its ports, on loopback. Their folders (journals!) lie in $NHUB_BENCH_DIR, or where temporary files lie.
"""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(ROOT, "tests"))

from support.daemons import BIN_DIR, Gateway, Hub  # noqa: E402


# Of the hub's answer to a publish: what the echo sends back, too.
ANSWER_BYTES = 182
FOLDERS = os.environ.get("NHUB_BENCH_DIR") or tempfile.gettempdir()


def new_folder():
    os.makedirs(FOLDERS, exist_ok=True)
    return tempfile.mkdtemp(prefix="nhub-bench-", dir=FOLDERS)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def wait_port(port, process, name):
    """Waits until something listens."""
    for _ in range(400):
        if process.poll() is not None:
            raise RuntimeError(f"{name} ended by itself with status {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            time.sleep(0.025)
    raise RuntimeError(f"{name} does not listen on port {port}")


def descendants(pid):
    """A process and all below it."""
    parents = {}
    for line in subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout.splitlines():
        child, parent = map(int, line.split())
        parents.setdefault(parent, []).append(child)
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        todo.extend(parents.get(found[-1], []))
    return found


class System:
    """A started system; `with` ends it."""

    def __init__(self):
        self.folder = new_folder()
        self.processes = []

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self):
        raise NotImplementedError

    def spawn(self, command, **options):
        log = open(os.path.join(self.folder, f"{os.path.basename(command[0])}.log"), "wb")
        self.processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log,
                                               **{"stdout": log, **options}))
        return self.processes[-1]

    @property
    def pids(self):
        return [pid for process in self.processes for pid in descendants(process.pid)]

    def __exit__(self, *_):
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Ours(System):
    """Hub and gateway with their defaults (but for what `hub_flags` and `gateway_flags` say), or the hub alone."""

    def __init__(self, hub_flags=(), gateway_flags=(), gateway=True):
        super().__init__()
        self.hub_flags, self.gateway_flags, self.with_gateway = list(hub_flags), list(gateway_flags), gateway
        self.hub = self.gateway = None

    def start(self):
        self.hub = Hub(os.path.join(self.folder, "hub"), self.hub_flags).start()
        if self.with_gateway:
            self.gateway = Gateway(os.path.join(self.folder, "gateway"), self.hub, self.gateway_flags).start()
            self.gateway.wait_connected()

    @property
    def pids(self):
        return [self.hub.pid] + ([self.gateway.pid] if self.gateway else [])

    @property
    def port(self):
        return self.gateway.port

    def __exit__(self, *_):
        for daemon in (self.gateway, self.hub):
            if daemon:
                daemon.finish()
        shutil.rmtree(self.folder, ignore_errors=True)


class Raw(System):
    """bench_raw: nothing but send() calls."""

    def __init__(self, mode, size):
        super().__init__()
        self.mode, self.size = mode, size

    def start(self):
        process = self.spawn([os.path.join(BIN_DIR, "bench_raw"), self.mode, str(self.size)], stdout=subprocess.PIPE, text=True)
        _, self.sub_port, self.pub_port = process.stdout.readline().split()


class Forward(System):
    """bench_forward: ZeroMQ without a look at the events, and an echo."""

    def start(self):
        process = self.spawn([os.path.join(BIN_DIR, "bench_forward"), str(ANSWER_BYTES)], stdout=subprocess.PIPE, text=True)
        _, self.collector, self.publisher, self.requests = process.stdout.readline().split()


class Nchan(System):
    """nginx with nchan, one worker, no stored messages beyond what late readers need."""

    def start(self):
        self.port = free_port()
        config = os.path.join(self.folder, "nginx.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write(f"""
                load_module {NCHAN_MODULE};
                daemon off; master_process on; worker_processes 1; worker_rlimit_nofile 65536;
                pid {self.folder}/nginx.pid; error_log {self.folder}/error.log warn;
                user root;
                events {{ worker_connections 30000; }}
                http {{
                    access_log off; keepalive_requests 100000000; client_body_temp_path {self.folder}/body;
                    proxy_temp_path {self.folder}/proxy; fastcgi_temp_path {self.folder}/fastcgi;
                    uwsgi_temp_path {self.folder}/uwsgi; scgi_temp_path {self.folder}/scgi;
                    nchan_max_reserved_memory 256M;
                    server {{
                        listen 127.0.0.1:{self.port} backlog=8192;
                        location = /pub {{ nchan_publisher; nchan_channel_id bench; nchan_message_buffer_length 2000; }}
                        location = /sub {{ nchan_subscriber; nchan_channel_id bench; nchan_subscriber_first_message newest; }}
                    }}
                }}""")
        wait_port(self.port, self.spawn(["nginx", "-c", config, "-p", self.folder]), "nginx")


class Mosquitto(System):
    """mosquitto with a WebSocket listener; duplicates allowed, which is its fast path."""

    def start(self):
        self.port, self.mqtt_port = free_port(), free_port()
        config = os.path.join(self.folder, "mosquitto.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write(f"user root\nallow_anonymous true\nallow_duplicate_messages true\nmax_queued_messages 0\n"
                       f"listener {self.mqtt_port} 127.0.0.1\nlistener {self.port} 127.0.0.1\nprotocol websockets\n")
        process = self.spawn(["mosquitto", "-c", config])
        wait_port(self.mqtt_port, process, "mosquitto")
        wait_port(self.port, process, "mosquitto")


class Nats(System):
    """nats-server with a WebSocket listener."""

    def start(self):
        self.port, self.nats_port = free_port(), free_port()
        config = os.path.join(self.folder, "nats.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write(f"listen: \"127.0.0.1:{self.nats_port}\"\n"
                       f"websocket {{ listen: \"127.0.0.1:{self.port}\", no_tls: true }}\n")
        wait_port(self.port, self.spawn(["nats-server", "-c", config]), "nats-server")


class NodeWs(System):
    """A fan-out server as one writes it by hand with Node's ws in an afternoon (node_ws.mjs)."""

    def start(self):
        self.port = free_port()
        shutil.copy(os.path.join(ROOT, "tests", "bench", "suite", "node_ws.mjs"), NODE_FOLDER)
        wait_port(self.port, self.spawn(["node", os.path.join(NODE_FOLDER, "node_ws.mjs"), str(self.port)]), "node")


NCHAN_MODULE = "/usr/lib/nginx/modules/ngx_nchan_module.so"
NODE_FOLDER = os.path.join(ROOT, "build", "bench")

# What the measures of peers need: the Debian packages, and how one sees that they are there.
PEER_PROGRAMS = {
    "wrk": (["wrk"], lambda: shutil.which("wrk")),
    "nchan": (["nginx-light", "libnginx-mod-nchan"], lambda: shutil.which("nginx") and os.path.exists(NCHAN_MODULE)),
    "mosquitto": (["mosquitto"], lambda: shutil.which("mosquitto")),
    "nats": (["nats-server"], lambda: shutil.which("nats-server")),
    "node": (["nodejs", "npm"], lambda: shutil.which("node") and shutil.which("npm")),
}


def is_there(peer):
    return bool(PEER_PROGRAMS[peer][1]()) and (peer != "node" or os.path.isdir(os.path.join(NODE_FOLDER, "node_modules", "ws")))


def install(peer):
    """Installs a peer that is not there; returns "" or why that did not work. The run goes on without it."""
    packages, is_installed = PEER_PROGRAMS[peer]
    try:
        if not is_installed():
            print("installing", *packages, file=sys.stderr, flush=True)
            apt_get("install", "-y", "--no-install-recommends", *packages)
        if peer == "node" and not is_there(peer):
            os.makedirs(NODE_FOLDER, exist_ok=True)
            quietly(["npm", "install", "--no-save", "--no-audit", "--no-fund", "--prefix", NODE_FOLDER, "ws@8"])
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        return f"cannot install {' '.join(packages)}: {error}"
    return "" if is_there(peer) else f"{peer} is not there after installing {' '.join(packages)}"


def quietly(command, **options):
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False, timeout=600, **options)
    if done.returncode != 0:
        raise RuntimeError((done.stderr.strip().splitlines() or ["failed"])[-1])


def apt_get(*words):
    """Services of what is installed stay off: policy-rc.d says so while dpkg runs."""
    policy = "/usr/sbin/policy-rc.d"
    made = not os.path.exists(policy)
    if made:
        with open(policy, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\nexit 101\n")
        os.chmod(policy, 0o755)
    try:
        quietly(["apt-get", *words], env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    finally:
        if made:
            os.remove(policy)


def versions():
    """Of what is there."""
    commands = {"nginx": ["nginx", "-v"], "mosquitto": ["mosquitto", "-h"], "nats-server": ["nats-server", "-v"],
                "node": ["node", "--version"], "wrk": ["wrk", "-v"]}
    return {name: version(command) for name, command in commands.items() if shutil.which(name)}


def version(command):
    """The first line that says a number."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    match = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return match.group(0) if match else "?"
