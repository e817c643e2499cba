"""cgse_client: how the original hub's Python clients behave on their sockets, re-created for tests.

Only what can be seen on the wire and by a caller counts here: which sockets, which frames, when they connect and close,
how long they wait, what they take for a failure. The sync and the async clients differ in few points, which are
parameters or classes of their own.

    with EventPublisher(hub) as publisher:
        publisher.publish("new_setup", "cm", {"setup_id": 1})
    NotificationHubClient(hub).health_check()
"""
import asyncio
import json
import time
import uuid

import zmq
import zmq.asyncio

REQUEST_TIMEOUT = 5.0  # seconds
ACTIVE_TIMEOUT = 0.5  # the "is it active" functions
LINGER_MS = 100


def make_event(event_type, source_service, data, correlation_id=None, timestamp=None):
    """The object that the publishers write: all five fields, the last two filled by the publisher."""
    return {
        "event_type": event_type,
        "source_service": source_service,
        "data": data,
        "timestamp": time.time() if timestamp is None else timestamp,
        "correlation_id": correlation_id or str(uuid.uuid4()),
    }


class EventPublisher:
    """PUSH, linger 100 ms: connects when it is entered, closes when it is left, and never learns of a missing hub."""

    def __init__(self, hub):
        self.endpoint = f"tcp://127.0.0.1:{hub.collector}"
        self.socket = None

    def connect(self):
        self.socket = zmq.Context.instance().socket(zmq.PUSH)
        self.socket.setsockopt(zmq.LINGER, LINGER_MS)
        self.socket.connect(self.endpoint)

    def close(self):
        self.socket.close()
        self.socket = None

    def __enter__(self):
        self.connect()
        return self

    def __exit__(self, *_):
        self.close()

    def publish(self, event_type, source_service, data, correlation_id=None, timestamp=None):
        event = make_event(event_type, source_service, data, correlation_id, timestamp)
        self.socket.send(json.dumps(event).encode("utf-8"))
        return event


class AsyncEventPublisher:
    """The same over asyncio; waits 100 ms after it has connected."""

    def __init__(self, hub):
        self.endpoint = f"tcp://127.0.0.1:{hub.collector}"
        self.context = self.socket = None

    async def __aenter__(self):
        self.context = zmq.asyncio.Context()
        self.socket = self.context.socket(zmq.PUSH)
        self.socket.setsockopt(zmq.LINGER, LINGER_MS)
        self.socket.connect(self.endpoint)
        await asyncio.sleep(0.1)
        return self

    async def __aexit__(self, *_):
        self.socket.close()
        self.context.term()

    async def publish(self, event_type, source_service, data, correlation_id=None):
        event = make_event(event_type, source_service, data, correlation_id)
        await self.socket.send(json.dumps(event).encode("utf-8"))
        return event


class EventSubscriber:
    """SUB: unpacks exactly two frames; handlers are found by the exact type."""

    def __init__(self, hub, *event_types):
        self.endpoint = f"tcp://127.0.0.1:{hub.publisher}"
        self.event_types = event_types or ("",)
        self.handlers = {}
        self.without_handler = []
        self.socket = None

    def register_handler(self, event_type, handler):
        self.handlers[event_type] = handler

    def __enter__(self):
        self.socket = zmq.Context.instance().socket(zmq.SUB)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(self.endpoint)
        for event_type in self.event_types:
            self.socket.setsockopt_string(zmq.SUBSCRIBE, event_type)
        return self

    def __exit__(self, *_):
        self.socket.close()

    def poll(self, timeout_ms=1000):
        return self.socket.poll(timeout_ms) != 0

    def handle_event(self, return_event_data=False):
        """Takes one event; a third frame would break the unpacking, as it does in the original."""
        topic, text = self.socket.recv_multipart()
        event = self.dispatch(topic, text)
        return event if return_event_data else None

    def dispatch(self, topic, text):
        event = json.loads(text.decode("utf-8"))
        handler = self.handlers.get(topic.decode("utf-8"))
        if handler:
            handler(event)
        else:
            self.without_handler.append(event["event_type"])
        return event


class AsyncEventSubscriber:
    """SUB over asyncio: polls with 1000 ms, one event at a time, 1 ms of sleep between; handlers plain or coroutines."""

    def __init__(self, hub, *event_types):
        self.endpoint = f"tcp://127.0.0.1:{hub.publisher}"
        self.event_types = event_types
        self.handlers = {}
        self.running = True
        self.context = self.socket = None

    def register_handler(self, event_type, handler):
        self.handlers[event_type] = handler

    async def __aenter__(self):
        self.context = zmq.asyncio.Context()
        self.socket = self.context.socket(zmq.SUB)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(self.endpoint)
        for event_type in self.event_types:
            self.socket.setsockopt_string(zmq.SUBSCRIBE, event_type)
        return self

    async def __aexit__(self, *_):
        self.socket.close()
        self.context.term()

    async def listen(self):
        while self.running:
            if not await self.socket.poll(1000):
                continue
            topic, text = await self.socket.recv_multipart()
            handler = self.handlers.get(topic.decode("utf-8"))
            if handler:
                result = handler(json.loads(text.decode("utf-8")))
                if asyncio.iscoroutine(result):
                    await result
            await asyncio.sleep(0.001)


class NotificationHubClient:
    """DEALER with an identity of text (or none), time-out 5 s; a wrong answer is a failure, and nothing is retried."""

    def __init__(self, hub, request_timeout=REQUEST_TIMEOUT, identity=True, prefix="notify-hub-client-"):
        self.endpoint = f"tcp://127.0.0.1:{hub.requests}"
        self.request_timeout = request_timeout
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        if identity:
            self.socket.setsockopt_string(zmq.IDENTITY, f"{prefix}{uuid.uuid4()}")
        self.socket.connect(self.endpoint)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def request(self, body, kind=b"REQ"):
        """The answer's object, or None after the time-out or for a wrong answer."""
        self.socket.send_multipart([kind, json.dumps(body).encode("utf-8")])
        if kind != b"REQ":
            return None
        if not self.socket.poll(self.request_timeout * 1000):
            return None
        frames = self.socket.recv_multipart()
        if len(frames) < 2 or frames[0] != b"RESPONSE":
            return None
        return json.loads(frames[1].decode("utf-8"))

    def health_check(self):
        answer = self.request({"action": "health"})
        return bool(answer and answer.get("success", False) and answer.get("status") == "ok")

    def server_status(self):
        return self.request({"action": "info"})

    def terminate_server(self):
        """The sync client's way: asks for no answer and gives the message 0.2 s to leave."""
        self.request({"action": "terminate"}, kind=b"REQ_NO_REPLY")
        time.sleep(0.2)


class AsyncNotificationHubClient:
    """The same over asyncio; terminates with a REQ and waits for the answer."""

    def __init__(self, hub, request_timeout=REQUEST_TIMEOUT):
        self.endpoint = f"tcp://127.0.0.1:{hub.requests}"
        self.request_timeout = request_timeout
        self.context = self.socket = None

    async def __aenter__(self):
        self.context = zmq.asyncio.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt_string(zmq.IDENTITY, f"async-notify-hub-client-{uuid.uuid4()}")
        self.socket.connect(self.endpoint)
        return self

    async def __aexit__(self, *_):
        self.socket.close()
        self.context.term()

    async def request(self, body):
        await self.socket.send_multipart([b"REQ", json.dumps(body).encode("utf-8")])
        try:
            frames = await asyncio.wait_for(self.socket.recv_multipart(), self.request_timeout)
        except asyncio.TimeoutError:
            return None
        if len(frames) < 2 or frames[0] != b"RESPONSE":
            return None
        return json.loads(frames[1].decode("utf-8"))

    async def health_check(self):
        answer = await self.request({"action": "health"})
        return bool(answer and answer.get("success", False) and answer.get("status") == "ok")

    async def terminate_server(self):
        answer = await self.request({"action": "terminate"})
        return bool(answer and answer.get("success", False))


def is_notify_hub_active(hub, timeout=ACTIVE_TIMEOUT):
    with NotificationHubClient(hub, request_timeout=timeout) as client:
        return client.health_check()


async def async_is_notify_hub_active(hub, timeout=ACTIVE_TIMEOUT):
    async with AsyncNotificationHubClient(hub, request_timeout=timeout) as client:
        return await client.health_check()


class ServiceMessaging:
    """Publisher and subscriber of one service."""

    def __init__(self, hub, service, *event_types):
        self.service = service
        self.publisher = EventPublisher(hub)
        self.subscriber = EventSubscriber(hub, *event_types)

    def __enter__(self):
        self.publisher.connect()
        self.subscriber.__enter__()
        return self

    def __exit__(self, *_):
        self.publisher.close()
        self.subscriber.__exit__()

    def publish_event(self, event_type, data, correlation_id=None):
        return self.publisher.publish(event_type, self.service, data, correlation_id)
