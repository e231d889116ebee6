// The rival: a Bun server as its documentation writes one. `server.publish` is uWebSockets' native publish.
const port = Number(process.argv[2]);
const deflate = process.argv[3] === "deflate";

const server = Bun.serve({
  port,
  hostname: "127.0.0.1",
  fetch(request, server) {
    const path = new URL(request.url).pathname;
    const topics = path.startsWith("/t/") ? path.slice(3).split(",") : [];
    if (server.upgrade(request, { data: { topics } })) return;
    return new Response("a WebSocket is wanted", { status: 426 });
  },
  websocket: {
    perMessageDeflate: deflate,
    idleTimeout: 960,
    open(socket) {
      for (const topic of socket.data.topics) socket.subscribe(topic);
      socket.send("joined");
    },
    // Only the publisher says anything: topic, space, payload.
    message(socket, text) {
      const space = text.indexOf(" ");
      server.publish(text.slice(0, space), text.slice(space + 1), deflate);
    },
  },
});
