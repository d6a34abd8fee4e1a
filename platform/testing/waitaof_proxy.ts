/**
 * Makes a Redis before 7.2 look like one with `WAITAOF`: hands everything on, except that `INFO` tells version 7.2 and
 * `WAITAOF` is answered when the test says so.
 */
import { machineClock } from "../clock.ts";

export interface WaitAofProxy {
  readonly place: { readonly host: string; readonly port: number };
  /** Calls of WAITAOF that have no answer yet. */
  waiting(): number;
  /** Answers all of them: how many local disks have it. */
  answer(disks: 0 | 1): void;
  close(): Promise<void>;
}

/** Starts it in front of a server on loopback. */
export async function waitAofProxy(
  server: { readonly host: string; readonly port: number },
): Promise<WaitAofProxy> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections = new Set<Deno.TcpConn>();
  let waiting: Deno.TcpConn[] = [];
  const pump = async (from: Deno.TcpConn, to: Deno.TcpConn, change: (text: string) => string) => {
    const buffer = new Uint8Array(1 << 16);
    try {
      for (let count = await from.read(buffer); count !== null; count = await from.read(buffer)) {
        // Latin-1 keeps every byte.
        const text = change(String.fromCharCode(...buffer.subarray(0, count)));
        const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
        for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
      }
    } catch {
      // One side is gone.
    }
    for (const connection of [from, to]) {
      if (connections.delete(connection)) connection.close();
    }
  };
  const serving = (async () => {
    for await (const client of listener) {
      const upstream = await Deno.connect({ hostname: server.host, port: server.port });
      connections.add(client).add(upstream);
      void pump(
        client,
        upstream,
        (text) =>
          text.replace(/\*4\r\n\$7\r\nWAITAOF\r\n(?:\$\d+\r\n\d+\r\n){3}/, () => {
            waiting.push(client);
            return "";
          }),
      );
      void pump(
        upstream,
        client,
        (text) => text.replace(/redis_version:7\.0\.(\d+)/, "redis_version:7.2.$1"),
      );
    }
  })();
  await machineClock.sleep(0);
  const { port } = listener.addr as Deno.NetAddr;
  return {
    place: { host: "127.0.0.1", port },
    waiting: () => waiting.length,
    answer(disks) {
      const answer = new TextEncoder().encode(`*2\r\n:${disks}\r\n:0\r\n`);
      for (const client of waiting) void client.write(answer);
      waiting = [];
    },
    async close() {
      listener.close();
      for (const connection of connections) connection.close();
      connections.clear();
      await serving;
    },
  };
}
