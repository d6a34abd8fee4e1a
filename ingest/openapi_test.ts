import assert from "node:assert/strict";
import { below, type Random } from "../core/ports/random.ts";
import { decodeBatchText } from "../core/schema.ts";
import { seededRandom } from "../sim/random.ts";
import { openapi, type Schema, schemas } from "./openapi.ts";
import { inWorld } from "./testing/world.ts";

/** Validates by the keywords that our schemas use (JSON Schema 2020-12). */
function isValid(schema: Schema, value: unknown): boolean {
  if (schema.$ref !== undefined) return isValid(schemas[schema.$ref.split("/").at(-1)!]!, value);
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  const types = schema.type === undefined ? null : [schema.type].flat();
  if (types !== null && !types.some((type) => isOfType(type, value))) return false;
  if (schema.anyOf?.some((one) => isValid(one, value)) === false) return false;
  if (schema.not !== undefined && isValid(schema.not, value)) return false;
  if (schema.enum !== undefined && !schema.enum.includes(value as string)) return false;
  if (typeof value === "number") {
    if (value < (schema.minimum ?? -Infinity) || value > (schema.maximum ?? Infinity)) return false;
  }
  if (typeof value === "string") {
    if (value.length < (schema.minLength ?? 0) || value.length > (schema.maxLength ?? Infinity)) return false;
    if (schema.pattern !== undefined && !new RegExp(schema.pattern, "u").test(value)) return false;
  }
  if (Array.isArray(value)) {
    if (value.length < (schema.minItems ?? 0) || value.length > (schema.maxItems ?? Infinity)) return false;
    if (schema.items !== undefined && !value.every((item) => isValid(schema.items!, item))) return false;
  }
  if (isObject) {
    const object = value as Record<string, unknown>;
    if (schema.required?.some((name) => !Object.hasOwn(object, name))) return false;
    for (const [name, property] of Object.entries(schema.properties ?? {})) {
      if (Object.hasOwn(object, name) && !isValid(property, object[name])) return false;
    }
  }
  return true;
}

function isOfType(type: string, value: unknown): boolean {
  if (type === "null") return value === null;
  if (type === "array") return Array.isArray(value);
  if (type === "integer") return Number.isInteger(value);
  if (type === "object") return typeof value === "object" && value !== null && !Array.isArray(value);
  const name: string = typeof value;
  return name === type;
}

/** True if the decoder takes it and finds no reading malformed. */
function isTaken(text: string): boolean {
  const decoded = decodeBatchText(text);
  return decoded.kind === "batch" && decoded.batch.readings.every(({ kind }) => kind === "reading");
}

const T = 1_763_950_000_123;
const pools: Readonly<Record<string, readonly unknown[]>> = {
  device: ["desk", "", "x".repeat(128), "x".repeat(129), "a\nb", "Küche", 7, null],
  boot: [0, 1, 2 ** 53 - 1, 2 ** 53, -1, 1.5, "1", null, true],
  every_ms: [100, 99, 10_000, 86_400_000, 86_400_001, null, "10000"],
  synced: [true, false, null, "true", 0],
  pending_since: [0, T, 9_999_999_999_999, 10_000_000_000_000, null, -1],
  previous: [null, {}, { boot: 1, slots: 2 }, { boot: 1, slots: 1e10 }, { boot: 1, slots: 1e10 + 1 }, {
    boot: -1,
    slots: 1,
  }, 7],
  lost: [
    null,
    [],
    [{ from: 1, to: 2, reason: "full" }],
    [{ from: 1, to: 1 }],
    [{ from: 1 }],
    [{ from: 1, to: 1e10 }],
    [{ from: 1, to: 2, reason: "No!" }],
    [7],
    {},
    Array(257).fill({ from: 1, to: 1 }),
  ],
  seq: [0, 41, 9_999_999_999, 10_000_000_000, -1, 0.5, null, "1"],
  ts: [0, T, 9_999_999_999_999, 10_000_000_000_000, -5, null, "now"],
  temperature_c: [21.4, -200, 0, null, "21", [], true],
  humidity_pct: [48.2, 255, null, "x", {}],
  error: ["checksum", "", "Not!", "a".repeat(32), "a".repeat(33), null, 1],
  flag: ["stuck", null, "Stuck", ""],
};
const batchFields = ["boot", "every_ms", "synced", "pending_since", "previous", "lost"];
const readingFields = ["seq", "ts", "temperature_c", "humidity_pct", "error", "flag"];

function drawn(random: Random, names: readonly string[], always: readonly string[]): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  for (const name of names) {
    if (!always.includes(name) && below(random, 3) > 0) continue;
    const pool = pools[name]!;
    // The first of a pool is good; drawn often, so that many values are good as a whole.
    object[name] = below(random, 4) > 0 ? pool[0] : pool[below(random, pool.length)];
  }
  return object;
}

Deno.test("the document's schemas and the decoder agree on 20,000 drawn batches", () => {
  const random = seededRandom(1, "openapi");
  const counts = { taken: 0, refused: 0 };
  for (let i = 0; i < 20_000; i++) {
    const isPlain = below(random, 3) === 0;
    const batch = drawn(random, ["device", ...batchFields, ...isPlain ? readingFields : []], ["device"]);
    if (!isPlain) {
      batch.readings = Array.from(
        { length: below(random, 3) },
        () => drawn(random, readingFields, ["temperature_c"]),
      );
    }
    const expected = isValid({ anyOf: [schemas.Batch!, schemas.PlainReading!] }, batch);
    assert.equal(isTaken(JSON.stringify(batch)), expected, JSON.stringify(batch));
    counts[expected ? "taken" : "refused"]++;
  }
  assert.ok(counts.taken > 3_000 && counts.refused > 3_000, JSON.stringify(counts));
});

Deno.test("the examples are valid and are taken", async () => {
  await inWorld(async ({ accepted }) => {
    for (const schema of [schemas.Batch!, schemas.PlainReading!]) {
      for (const example of schema.examples!) {
        assert.ok(isValid(schema, example));
        await accepted(JSON.stringify(example));
      }
    }
  });
});

Deno.test("answers are as the document says", async () => {
  await inWorld(async ({ post, accepted }) => {
    const answer = await accepted('{"device":"d","temperature_c":300}');
    assert.ok(isValid(schemas.Accepted!, answer));
    for (const body of ["", '{"device":""}']) {
      assert.ok(isValid(schemas.Problem!, await (await post(body)).json()));
    }
  });
});

Deno.test("the document is served, and every reference in it leads somewhere", async () => {
  await inWorld(async ({ ingest }) => {
    const response = await ingest.app.request("/openapi.json");
    assert.equal(response.status, 200);
    const text = await response.text();
    assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(openapi())));
    for (const [, name] of text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)) {
      assert.ok(Object.hasOwn(schemas, name!), `no schema ${name}`);
    }
  });
});
