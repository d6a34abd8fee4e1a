import assert from "node:assert/strict";
import { APIClient } from "@wokwi/client";
import { machineClock } from "../../../platform/clock.ts";
import { WebSocketTransport } from "./transports.ts";

/** A server on loopback that speaks as `talk` says; `headers` are those of the last upgrade. */
function serve(talk: (socket: WebSocket) => void) {
  const seen = { headers: new Headers() };
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    seen.headers = new Headers(request.headers);
    if (request.headers.get("authorization") === "Bearer wrong") return new Response(null, { status: 401 });
    const { socket, response } = Deno.upgradeWebSocket(request);
    talk(socket);
    return response;
  });
  return { url: `ws://127.0.0.1:${server.addr.port}`, seen, stop: () => server.shutdown() };
}

const transport = (url: string, token = "token", silenceMs = 60_000) =>
  new WebSocketTransport({ url, token, clock: machineClock, silenceMs });

Deno.test("commands go out as one JSON text each, with the token in a header", async () => {
  const server = serve((socket) => {
    socket.onmessage = ({ data }) => {
      const { command, id, params } = JSON.parse(data);
      socket.send(
        JSON.stringify({
          type: "response",
          command,
          id,
          error: false,
          result: { running: true, nanos: 7, params },
        }),
      );
    };
  });
  const client = new APIClient(transport(server.url));
  await client.connected;
  assert.equal((await client.simStatus()).nanos, 7);
  assert.equal(server.seen.headers.get("authorization"), "Bearer token");
  assert.match(server.seen.headers.get("user-agent") ?? "", /isotherm-wokwi-test\//);
  client.close();
  await server.stop();
});

Deno.test("a refused token, no server, a silent one and one that talks nonsense are told in a sentence", async () => {
  const server = serve(() => {});
  await assert.rejects(
    new APIClient(transport(server.url, "wrong")).connected,
    /there is no connection to ws:/,
  );
  const silent = new APIClient(transport(server.url, "token", 50));
  const told = Promise.withResolvers<string>();
  silent.onError = ({ message }) => told.resolve(message);
  // On a busy machine the connection itself may take longer.
  silent.connected.catch(() => {});
  assert.match(await told.promise, /has said nothing for 0.05 s/);
  await server.stop();
  await assert.rejects(new APIClient(transport(server.url)).connected, /there is no connection/);

  const mad = serve((socket) => socket.onopen = () => socket.send("{"));
  const client = new APIClient(transport(mad.url));
  const heard = Promise.withResolvers<string>();
  client.onError = ({ message }) => heard.resolve(message);
  assert.match(await heard.promise, /a frame that is no JSON/);
  client.close();
  await mad.stop();
});
