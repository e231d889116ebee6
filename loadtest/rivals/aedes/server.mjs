// An MQTT broker on Node, as Aedes' own page shows it: `node server.mjs PORT`.
import { createServer } from "node:net";
import { Aedes } from "aedes";

const broker = await Aedes.createBroker();
createServer({ noDelay: true }, broker.handle).listen({ host: "127.0.0.1", port: Number(process.argv[2]), backlog: 4096 });
