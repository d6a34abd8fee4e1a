/** A real process among senders that mean no good: the others are served, and memory stays bounded. */
import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { machineClock } from "../platform/clock.ts";
import { type IngestProcess, startIngest } from "./testing/process.ts";

const encoder = new TextEncoder();

/** Sends a plain reading and says how it went. */
async function honest({ url }: IngestProcess, device = "honest") {
  const startMs = machineClock.monotonicMs();
  const body = JSON.stringify({ device, temperature_c: 21 });
  const response = await fetch(`${url}/v1/readings`, { method: "POST", body });
  await response.body?.cancel();
  return { status: response.status, tookMs: machineClock.monotonicMs() - startMs };
}

const connect = ({ url }: IngestProcess) =>
  Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(url).port) });

async function residentBytes({ url }: IngestProcess): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/isotherm_process_resident_bytes (\d+)/.exec(text)?.[1]);
}

/** Everybody is still served, soon. */
async function assertServed(ingest: IngestProcess) {
  for (let i = 0; i < 5; i++) {
    const { status, tookMs } = await honest(ingest);
    assert.equal(status, 202);
    assert.ok(tookMs < 2_000, `served after ${tookMs} ms`);
  }
}

Deno.test("headers and bodies that never end, by the hundred, hold nobody up", async () => {
  await using ingest = await startIngest({});
  const connections = await Promise.all(Array.from({ length: 200 }, () => connect(ingest)));
  for (const [i, connection] of connections.entries()) {
    const head = "POST /v1/readings HTTP/1.1\r\nhost: x\r\n";
    await connection.write(
      encoder.encode(i % 2 === 0 ? head : `${head}content-length: 500000\r\n\r\n{"device":`),
    );
  }
  await assertServed(ingest);
  for (const connection of connections) connection.close();
});

Deno.test("bombs and oversized bodies harm only themselves", async () => {
  await using ingest = await startIngest({});
  const bomb = new Uint8Array(gzipSync(new Uint8Array(200_000_000)));
  const large = new Uint8Array(5_000_000).fill(0x20);
  const post = async (body: Uint8Array<ArrayBuffer>, headers: Record<string, string>) => {
    const response = await fetch(`${ingest.url}/v1/readings`, { method: "POST", body, headers });
    await response.body?.cancel();
    return response.status;
  };
  const attacks = Array.from(
    { length: 20 },
    (_, i) => i % 2 === 0 ? post(bomb, { "content-encoding": "gzip" }) : post(large, {}),
  );
  await assertServed(ingest);
  assert.deepEqual(new Set(await Promise.all(attacks)), new Set([413]));
  await assertServed(ingest);
  const bytes = await residentBytes(ingest);
  assert.ok(bytes < 300_000_000, `${bytes} bytes resident`);
});

Deno.test("a hundred thousand device names from one key leave nothing behind", async () => {
  await using ingest = await startIngest({ ISOTHERM_KEY: "a-key-of-16-signs" });
  const headers = { authorization: "Bearer a-key-of-16-signs", "content-type": "application/x-ndjson" };
  let accepted = 0;
  for (let start = 0; start < 100_000; start += 10_000) {
    const lines = Array.from(
      { length: 10_000 },
      (_, i) => `{"device":"name ${start + i}","temperature_c":1}`,
    );
    const response = await fetch(`${ingest.url}/v1/readings`, {
      method: "POST",
      body: lines.join("\n"),
      headers,
    });
    accepted += (await response.json()).accepted;
  }
  assert.equal(accepted, 100_000);
  const text = await (await fetch(`${ingest.url}/metrics`)).text();
  assert.ok(!text.includes("name "), "no metric names a device");
  assert.ok(text.length < 20_000);
  const bytes = await residentBytes(ingest);
  assert.ok(bytes < 350_000_000, `${bytes} bytes resident`);
});

Deno.test("a sender that pipelines without reading its answers is bounded", async () => {
  await using ingest = await startIngest({});
  const connection = await connect(ingest);
  const body = '{"device":"pipeline","temperature_c":1}';
  const request = `POST /v1/readings HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  const many = encoder.encode(request.repeat(500));
  let sent = 0;
  const writing = (async () => {
    try {
      while (sent < 20_000_000) sent += await connection.write(many);
    } catch {
      // Cut off: just as well.
    }
  })();
  await Promise.race([writing, machineClock.sleep(3_000)]);
  await assertServed(ingest);
  const bytes = await residentBytes(ingest);
  assert.ok(bytes < 400_000_000, `${bytes} bytes resident after ${sent} bytes of requests`);
  connection.close();
  await writing;
});
