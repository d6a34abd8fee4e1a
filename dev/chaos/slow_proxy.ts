/**
 * A network that can be made bad: a TCP proxy on loopback. Bytes keep their order and arrive late; connections break in
 * the middle; nobody may be there at all.
 */
import type { Clock } from "../../core/ports/clock.ts";
import { delayedCopy } from "./delayed_copy.ts";

export interface SlowProxy extends AsyncDisposable {
  readonly port: number;
  /** From now on each chunk waits so long, either way. */
  setDelayMs(ms: number): void;
  /** False: connections are closed as they come. */
  setReachable(isReachable: boolean): void;
  /** Breaks what is open, at once. Returns how many connections that were. */
  cut(): number;
}

/** Starts one before `targetPort` of loopback. */
export function startSlowProxy(targetPort: number, clock: Clock): SlowProxy {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.Conn>();
  let delayMs = 0;
  let isReachable = true;
  let isClosed = false;
  const close = (conn: Deno.Conn) => {
    if (!open.delete(conn)) return;
    try {
      conn.close();
    } catch {
      // The other side was first.
    }
  };
  const serve = async (client: Deno.Conn): Promise<void> => {
    open.add(client);
    if (!isReachable) return close(client);
    let target: Deno.Conn;
    try {
      target = await Deno.connect({ hostname: "127.0.0.1", port: targetPort });
    } catch {
      return close(client);
    }
    if (!open.has(client) || isClosed) {
      target.close();
      return close(client);
    }
    open.add(target);
    const delay = () => delayMs;
    await Promise.all([
      delayedCopy(client, target, clock, delay).finally(() => close(target)),
      delayedCopy(target, client, clock, delay).finally(() => close(client)),
    ]);
  };
  const serving = new Set<Promise<void>>();
  const accepting = (async () => {
    try {
      for await (const client of listener) {
        const served = serve(client);
        serving.add(served);
        void served.finally(() => serving.delete(served));
      }
    } catch (error) {
      if (!isClosed) throw error;
    }
  })();
  return {
    port: listener.addr.port,
    setDelayMs: (ms) => void (delayMs = ms),
    setReachable: (is) => void (isReachable = is),
    cut() {
      const count = open.size >> 1;
      for (const conn of [...open]) close(conn);
      return count;
    },
    async [Symbol.asyncDispose]() {
      isClosed = true;
      listener.close();
      for (const conn of [...open]) close(conn);
      await accepting;
      await Promise.all(serving);
    },
  };
}
