/*
 * websocket: the transport of choice: both ways on one connection.
 */
import type { Listener, Request, Transport } from "./transport.js";

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

const closeReasons: Record<number, string> = {
  1006: "the connection broke or could not be made",
  1012: "the gateway restarts",
  1013: "the gateway is overloaded, or this client too slow",
};

export function openWebSocket(base: string, make: SocketConstructor, listener: Listener): Transport {
  const socket = new make(`${base.replace(/^http/, "ws")}/ws`, "notifyhub.v1.json");
  let isOver = false;
  const end = (reason: string) => {
    if (!isOver) {
      isOver = true;
      listener.end(reason);
    }
  };
  socket.onmessage = (message: { data: unknown }) => {
    if (!isOver) {
      listener.message(String(message.data));
    }
  };
  socket.onclose = (close: { code: number; reason: string }) =>
    end(close.reason || closeReasons[close.code] || `closed with ${close.code}`);
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
