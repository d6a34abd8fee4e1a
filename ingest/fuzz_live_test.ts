/** fast-check on the decoder and on the doors: whatever comes, an answer with a reason, the same every time. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { noMetrics } from "../core/ports/metrics.ts";
import { silentTrace } from "../core/ports/trace.ts";
import { decodeBatch, decodeBatchClosely } from "../core/schema.ts";
import { machineClock } from "../platform/clock.ts";
import { SimLog } from "../sim/log.ts";
import { seededRandom } from "../sim/random.ts";
import { expand } from "./encoding.ts";
import { mapPoints } from "./influx.ts";
import { parseLines } from "./line_protocol.ts";
import { readPayload } from "./mqtt_payload.ts";
import { createIngest } from "./mod.ts";
import { parcelOf, readParcel } from "./parcel.ts";

const RUNS = { numRuns: 3_000, seed: 1 };
const encoder = new TextEncoder();

/** Objects that look like batches, with any JSON in any place. */
const value = fc.oneof({
  weight: 3,
  arbitrary: fc.constantFrom(0, 1, 41, 1_763_950_000_123, 21.4, -40, "desk", true, null),
}, fc.jsonValue());
const reading = fc.dictionary(
  fc.constantFrom("seq", "ts", "temperature_c", "humidity_pct", "error", "flag", "__proto__", "x"),
  value,
);
const batch = fc.record({
  device: fc.oneof(fc.constant("desk"), fc.string(), value),
  boot: value,
  every_ms: value,
  synced: value,
  pending_since: value,
  previous: fc.oneof(value, fc.record({ boot: value, slots: value })),
  lost: fc.oneof(
    value,
    fc.array(fc.record({ from: value, to: value, reason: value }, { requiredKeys: [] }), { maxLength: 4 }),
  ),
  readings: fc.oneof(value, fc.array(fc.oneof(reading, value), { maxLength: 5 })),
}, { requiredKeys: [] });
const bodies = fc.oneof(
  batch.map((json) => encoder.encode(JSON.stringify(json))),
  reading.map((json) => encoder.encode(JSON.stringify({ device: "desk", ...json }))),
  fc.string({ unit: "binary" }).map((text) => encoder.encode(text)),
  fc.uint8Array({ maxLength: 200 }),
);

Deno.test("the decoder ends in a batch or in problems, alike with and without the scanner", () => {
  fc.assert(
    fc.property(bodies, (bytes) => {
      const [one, two] = [decodeBatch(bytes), decodeBatchClosely(bytes)].map((decoded) => {
        if (decoded.kind === "problems") return decoded;
        const { batch } = decoded;
        for (let i = 0; i < batch.readings.length; i++) batch.rawReading(i);
        const { device, boot, everyMs, synced, pendingSinceMs, previous, lost, readings } = batch;
        return { device, boot, everyMs, synced, pendingSinceMs, previous, lost, readings: [...readings] };
      });
      assert.deepEqual(one, two);
    }),
    RUNS,
  );
});

Deno.test("a parcel read from columns says what one of the decoded batch says", () => {
  fc.assert(
    fc.property(bodies, (bytes) => {
      const decoded = decodeBatchClosely(bytes);
      const expected = decoded.kind === "problems"
        ? decoded
        : { kind: "parcel", parcel: parcelOf(decoded.batch, bytes) };
      assert.deepEqual(readParcel(bytes), expected);
    }),
    RUNS,
  );
});

Deno.test("whatever is posted is answered with 202 or a problem document, never with a fault", async () => {
  const types = fc.constantFrom("application/json", "application/x-ndjson", "text/plain", "", "image/png");
  const encodings = fc.constantFrom("", "gzip", "zstd", "br");
  const paths = fc.constantFrom("/v1/readings", "/api/v2/write", "/write", "/v1/devices/x", "/v1/releases");
  // In the machine's time: fast-check comes up for air with timers of its own.
  const log = new SimLog({ partitions: 1, clock: machineClock, random: seededRandom(1) }).open();
  const ports = { log: log.writer, clock: machineClock, random: seededRandom(2), trace: silentTrace };
  const { app, plain } = createIngest({ ...ports, metrics: noMetrics });
  await fc.assert(
    fc.asyncProperty(bodies, types, encodings, paths, async (bytes, type, encoding, path) => {
      const headers: Record<string, string> = { "content-type": type };
      if (encoding !== "") headers["content-encoding"] = encoding;
      const response = await app.request(path, { method: "POST", body: new Uint8Array(bytes), headers });
      assert.ok([202, 204, 400, 413, 415].includes(response.status), `${response.status}`);
      if (response.status !== 204) JSON.parse(await response.text());
      if (path !== plain.path) return;
      const body = new Uint8Array(bytes);
      const short = await plain.handle({ header: (name) => headers[name] ?? null, body });
      assert.equal(short.status, response.status, "the plain route answers alike");
    }),
    { numRuns: 1_000, seed: 1 },
  );
  await log.close();
});

Deno.test("line protocol, MQTT payloads and compressed bodies end in a result", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.uint8Array({ maxLength: 300 }), (text, bytes) => {
      mapPoints(parseLines(text).points, "ns");
      readPayload({ device: "d", sensor: "temperature" }, bytes);
      for (const encoding of ["gzip", "zstd"] as const) expand(encoding, bytes, 1_000);
    }),
    RUNS,
  );
  const lines = fc.array(
    fc.constantFrom(",", " ", "=", '"', "\\", "\n", "t", "device=d", "temperature=1", "1", "#"),
    { maxLength: 30 },
  );
  fc.assert(
    fc.property(lines, (parts) => {
      const { points, problems } = parseLines(parts.join(""));
      for (const { line } of [...points, ...problems]) assert.ok(line >= 1);
      mapPoints(points, "ms");
    }),
    RUNS,
  );
});
