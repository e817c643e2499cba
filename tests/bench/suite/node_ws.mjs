// A fan-out server as one writes it by hand in an afternoon: POST /pub goes to every WebSocket.
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const server = createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const text = Buffer.concat(parts).toString();
    try {
      JSON.parse(text);
    } catch {
      response.writeHead(400).end();
      return;
    }
    for (const client of sockets.clients) {
      if (client.readyState === 1) client.send(text);
    }
    response.writeHead(202, { "Content-Length": "0" }).end();
  });
});
const sockets = new WebSocketServer({ server, path: "/ws", perMessageDeflate: false });
server.listen(Number(process.argv[2]), "127.0.0.1");
