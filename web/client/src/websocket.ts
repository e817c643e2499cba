/*
 * websocket: the transport of choice: both ways on one connection.
 */
import type { Listener, Request, Transport } from "./transport.js";
import { HubError } from "./types.js";

/** What is used of the browser's WebSocket (and of Node's, and of the package `ws`). */
export interface Socket {
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}
export type SocketConstructor = new (url: string, protocols?: string | string[]) => Socket;

const POLICY = 1008; /* an operator, or a rule, does not want this client: it does not come back by itself */
const closeReasons: Record<number, string> = {
  1006: "the connection broke or could not be made",
  1012: "the gateway restarts",
  1013: "the gateway is overloaded, or this client too slow",
};

export function openWebSocket(base: string, make: SocketConstructor, listener: Listener): Transport {
  const socket = new make(`${base.replace(/^http/, "ws")}/ws`, "notifyhub.v1.json");
  let isOver = false;
  const end = (reason: string, fatal?: HubError) => {
    if (!isOver) {
      isOver = true;
      listener.end(reason, fatal);
    }
  };
  socket.onmessage = (message: { data: unknown }) => {
    if (!isOver) {
      listener.message(String(message.data));
    }
  };
  socket.onclose = ({ code, reason }: { code: number; reason: string }) => {
    const why = reason || closeReasons[code] || `closed with ${code}`;
    end(why, code === POLICY ? new HubError("closed_by_gateway", why) : undefined);
  };
  socket.onerror = () => {}; /* a close follows, and tells more */
  return {
    kind: "websocket",
    start({ patterns, since, policy, snapshot }: Request) {
      const op = { op: "subscribe", id: "start", event_type: patterns, since: since ?? undefined, policy, snapshot };
      socket.send(JSON.stringify(since === null ? op : { ...op, snapshot: undefined }));
    },
    send: (text) => socket.send(text),
    close() {
      isOver = true;
      socket.close(1000);
    },
  };
}
