import assert from "node:assert/strict";
import { machineClock } from "../../platform/clock.ts";
import { delayedCopy } from "./delayed_copy.ts";
import { parseChaosOptions } from "./options.ts";
import { chaosKinds, drawChaos } from "./plan.ts";
import { startSlowProxy } from "./slow_proxy.ts";

Deno.test("every option of chaos does what it says", () => {
  assert.deepEqual(parseChaosOptions(["--minutes", "0.5", "--seed", "7", "--boards", "3"]), {
    kind: "options",
    options: { minutes: 0.5, seed: 7, boards: 3 },
  });
  assert.deepEqual(parseChaosOptions(["--help"]), { kind: "help" });
});

Deno.test("all problems of the arguments of chaos are told at once", () => {
  assert.deepEqual(parseChaosOptions(["--minutes", "0", "--seed", "1.5", "--boards", "--fast"]), {
    kind: "problems",
    problems: [
      '--minutes is a number from 0.1 to 1440, not "0"',
      '--seed is a whole number from 0 to 1000000000, not "1.5"',
      '--boards is a whole number from 1 to 100, not "--fast"',
    ],
  });
});

Deno.test("a seed of chaos draws every kind once before any twice, and the same again", () => {
  const plan = drawChaos(3, 60_000);
  assert.equal(plan.length, 20);
  assert.deepEqual(new Set(plan.map(({ kind }) => kind)), new Set(Object.keys(chaosKinds)));
  assert.deepEqual(drawChaos(3, 60_000), plan);
  assert.notDeepEqual(drawChaos(4, 60_000), plan);
  assert.ok(plan.every(({ atMs }, i) => atMs >= (plan[i - 1]?.atMs ?? 0) && atMs < 60_000));
});

Deno.test("bytes wait as long as the network is slow, in their order", async () => {
  const chunks = [new Uint8Array([1, 2]), new Uint8Array([3])];
  const slept: number[] = [];
  const written: number[] = [];
  await delayedCopy(
    {
      read: (into) => {
        const next = chunks.shift();
        if (next === undefined) return Promise.resolve(null);
        into.set(next);
        return Promise.resolve(next.length);
      },
    },
    // Takes a byte at a time.
    { write: (bytes) => Promise.resolve(written.push(bytes[0]!) && 1) },
    { ...machineClock, sleep: (ms) => Promise.resolve(void slept.push(ms)) },
    () => 40,
  );
  assert.deepEqual(written, [1, 2, 3]);
  assert.deepEqual(slept, [40, 40]);
});

Deno.test("a connection through the slow network works, breaks when it is cut, and finds nobody when it is gone", async () => {
  using server = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    for await (const conn of server) void conn.readable.pipeTo(conn.writable).catch(() => {});
  })();
  const ended = async (conn: Deno.Conn) => {
    try {
      return await conn.read(new Uint8Array(8)) === null;
    } catch {
      return true;
    }
  };
  {
    await using proxy = startSlowProxy(server.addr.port, machineClock);
    using first = await Deno.connect({ hostname: "127.0.0.1", port: proxy.port });
    await first.write(new Uint8Array([7, 8]));
    const answer = new Uint8Array(8);
    assert.equal(await first.read(answer), 2);
    assert.deepEqual([...answer.subarray(0, 2)], [7, 8]);
    assert.equal(proxy.cut(), 1);
    assert.ok(await ended(first));
    proxy.setReachable(false);
    using second = await Deno.connect({ hostname: "127.0.0.1", port: proxy.port });
    assert.ok(await ended(second));
  }
  server.close();
  await serving.catch(() => {});
});
