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
    'ingest: ISOTHERM_LOG is "carrier pigeon", must be embedded:DIR or kafka://host:port[,host:port][/topic]',
    'ingest: ISOTHERM_TRACE is "loud", must be one of info, debug, warn, error',
    "ingest: not started; --help lists the settings",
  ]);
});

Deno.test("an open door without a key is refused with a sentence", async () => {
  const { code, stderr } = await startIngest.toEnd({ ISOTHERM_LAN: "1", ISOTHERM_TRACE: "error" });
  assert.equal(code, 1);
  assert.match(stderr, /set ISOTHERM_KEY to a secret, or unset ISOTHERM_LAN and ISOTHERM_HOST/);
});
