import assert from "node:assert/strict";
import { machineClock } from "../platform/clock.ts";
import { startIngest } from "./testing/process.ts";

const READING = '{"device":"desk","temperature_c":21.5}';

Deno.test("the service starts, takes a reading, tells its state and ends at SIGTERM", async () => {
  await using ingest = await startIngest({});
  const response = await fetch(`${ingest.url}/v1/readings`, { method: "POST", body: READING });
  assert.equal(response.status, 202);
  assert.equal((await response.json()).accepted, 1);
  assert.deepEqual(await (await fetch(`${ingest.url}/healthz`)).json(), { status: "ok" });
  assert.deepEqual(await (await fetch(`${ingest.url}/readyz`)).json(), { status: "ready" });
  assert.match(await (await fetch(`${ingest.url}/metrics`)).text(), /isotherm_ingest_readings_total 1\n/);
  const startMs = machineClock.monotonicMs();
  assert.equal((await ingest.stop("SIGTERM")).code, 0);
  assert.ok(machineClock.monotonicMs() - startMs < 2_000);
});

Deno.test("at SIGTERM a request that has begun is taken and answered, a new one finds nobody", async () => {
  await using ingest = await startIngest({});
  const address = { hostname: "127.0.0.1", port: Number(new URL(ingest.url).port) };
  using begun = await Deno.connect(address);
  const encoder = new TextEncoder();
  const head = `POST /v1/readings HTTP/1.1\r\nhost: x\r\ncontent-length: ${READING.length}\r\n\r\n`;
  await begun.write(encoder.encode(head + READING.slice(0, 10)));
  await machineClock.sleep(200);
  const ended = ingest.stop("SIGTERM");
  for (let tries = 0; tries < 100; tries++) {
    const other = await Deno.connect(address).catch(() => null);
    if (other === null) break;
    other.close();
    await machineClock.sleep(20);
  }
  await assert.rejects(Deno.connect(address), Deno.errors.ConnectionRefused);
  await begun.write(encoder.encode(READING.slice(10)));
  const buffer = new Uint8Array(2_000);
  const answer = new TextDecoder().decode(buffer.subarray(0, await begun.read(buffer) ?? 0));
  assert.match(answer, /^HTTP\/1\.1 202 .*\r\nconnection: close\r\n.*"accepted":1/is);
  assert.equal((await ended).code, 0);
});

Deno.test("a key opens the service to the network and is required", async () => {
  await using ingest = await startIngest({ ISOTHERM_KEY: "a-key-of-16-signs" });
  assert.match(
    ingest.lines[1]!,
    /^a board on the desk sends to http:\/\/\d+\.\d+\.\d+\.\d+:\d+, with the key$/,
  );
  const post = (headers: Record<string, string>) =>
    fetch(`${ingest.url}/v1/readings`, { method: "POST", body: READING, headers }).then(async (response) => {
      await response.body?.cancel();
      return response.status;
    });
  assert.equal(await post({}), 401);
  assert.equal(await post({ authorization: "Bearer a-key-of-16-sign" }), 401);
  assert.equal(await post({ authorization: "Bearer a-key-of-16-signs" }), 202);
  assert.equal(await post({ "x-api-key": "a-key-of-16-signs" }), 202);
  assert.equal((await ingest.stop("SIGINT")).code, 0);
});

Deno.test("wrong settings are all reported at once and nothing starts", async () => {
  const { code, stderr } = await startIngest.toEnd({
    ISOTHERM_PORT: "65536",
    ISOTHERM_LOG: "carrier pigeon",
    ISOTHERM_KEY: "short",
    ISOTHERM_TRACE: "loud",
  });
  assert.equal(code, 2);
  assert.deepEqual(stderr.trim().split("\n"), [
    'ingest: ISOTHERM_PORT is "65536", must be an integer from 0 to 65535 (port)',
    "ingest: ISOTHERM_KEY must be 16 to 256 printable characters without blanks",
    'ingest: ISOTHERM_LOG is "carrier pigeon", must be embedded:DIR, kafka://host:port[,host:port][/topic] or redis://[user:password@]host:port[/name]',
    'ingest: ISOTHERM_TRACE is "loud", must be one of info, debug, warn, error',
    "ingest: not started; --help lists the settings",
  ]);
});

Deno.test("an open door without a key is refused with a sentence", async () => {
  const { code, stderr } = await startIngest.toEnd({ ISOTHERM_LAN: "1", ISOTHERM_TRACE: "error" });
  assert.equal(code, 1);
  assert.match(
    stderr,
    /set ISOTHERM_KEY to a secret or ISOTHERM_KEYS to a file, or unset ISOTHERM_LAN and ISOTHERM_HOST/,
  );
});

Deno.test("keys made, rotated and revoked by the command are in force within two seconds", async () => {
  const folder = await Deno.makeTempDir({ prefix: "isotherm-keys-" });
  const file = `${folder}/keys.json`;
  const keys = async (...args: string[]) => {
    const main = new URL("keys/main.ts", import.meta.url).pathname;
    const command = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--allow-all", main, ...args, "--file", file],
    });
    const { code, stdout, stderr } = await command.output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout).split("\n")[0]!;
  };
  const first = await keys("create", "desks", "--devices", "desk-*");
  await using ingest = await startIngest({ ISOTHERM_KEYS: file, ISOTHERM_HOST: "127.0.0.1" });
  const post = async (key: string, device: string) => {
    const body = JSON.stringify({ device, temperature_c: 21 });
    const headers = { authorization: `Bearer ${key}` };
    const response = await fetch(`${ingest.url}/v1/readings`, { method: "POST", body, headers });
    await response.body?.cancel();
    return response.status;
  };
  const becomes = async (key: string, status: number) => {
    for (let tries = 0; tries < 40; tries++) {
      if (await post(key, "desk-1") === status) return;
      await machineClock.sleep(50);
    }
    assert.fail(`the key did not come to be answered with ${status}`);
  };
  assert.equal(await post(first, "desk-1"), 202);
  assert.equal(await post(first, "greenhouse"), 403);
  const second = await keys("rotate", "desks", "--overlap", "1h");
  await becomes(second, 202);
  assert.equal(await post(first, "desk-1"), 202);
  await keys("revoke", "desks");
  await becomes(second, 401);
  assert.equal(await post(first, "desk-1"), 401);
  await Deno.remove(folder, { recursive: true });
});
