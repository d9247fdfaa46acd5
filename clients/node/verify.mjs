// Receives webhooks of Waybill and verifies them with the public package `standardwebhooks`.
// npm install standardwebhooks && WAYBILL_WEBHOOK_SECRET=whsec_... PORT=8080 node verify.mjs
import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";

const webhook = new Webhook(process.env.WAYBILL_WEBHOOK_SECRET);
const messages = new Map(); // your table: the newest copy of each message, by its id

const server = createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  let event;
  try {
    // The body as it arrived: parsed and written again it would have another signature.
    event = webhook.verify(Buffer.concat(parts).toString("utf8"), request.headers);
  } catch {
    response.writeHead(400).end();
    return;
  }
  if (event.type === "message.updated") {
    // Webhooks arrive in any order, and sometimes twice: the highest version is the newest.
    const known = messages.get(event.data.id);
    if (!known || event.data.version > known.version) messages.set(event.data.id, event.data);
    console.log(event.data.id, messages.get(event.data.id).status);
  }
  response.writeHead(204).end(); // within 15 s: do the work later
});

server.listen(Number(process.env.PORT ?? 8080), "127.0.0.1", () => console.log("listening"));
