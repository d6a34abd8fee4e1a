import assert from "node:assert/strict";
import { seededRandom } from "../sim/random.ts";
import { limits } from "./limits.ts";
import { below, type Random } from "./ports/random.ts";
import {
  type Batch,
  classify,
  decodeBatch,
  decodeBatchClosely,
  decodeBatchText,
  decodeDeviceRecord,
  decodeOwner,
  decodeRelease,
  deviceNameProblem,
  parseJson,
} from "./schema.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const T = 1_763_950_000_123;

function batchOf(text: string): Batch {
  const decoded = decodeBatchText(text);
  assert.equal(decoded.kind, "batch", JSON.stringify(decoded));
  return (decoded as { readonly batch: Batch }).batch;
}

function problemsOf(text: string): { path: string; message: string }[] {
  const decoded = decodeBatchText(text);
  assert.equal(decoded.kind, "problems", text);
  return [...(decoded as { readonly problems: readonly { path: string; message: string }[] }).problems];
}

/** The first reading of a plain one with these fields. */
const readingOf = (fields: string) => batchOf(`{"device":"d",${fields}}`).readings[0]!;

Deno.test("a whole batch is decoded field by field", () => {
  const { rawReading, ...batch } = batchOf(`{
    "device": "greenhouse-3", "boot": 5212873469012345, "every_ms": 10000, "synced": false,
    "pending_since": 1763949000000, "previous": {"boot": 8123409871234567, "slots": 8841},
    "lost": [{"from": 17, "to": 40, "reason": "backlog_full"}, {"from": 41, "to": 41}],
    "readings": [
      {"seq": 42, "ts": ${T}, "temperature_c": 21.4, "humidity_pct": 48.2, "flag": "stuck"},
      {"seq": 43, "ts": ${T + 1}, "error": "checksum"}
    ]}`);
  assert.deepEqual(batch, {
    device: "greenhouse-3",
    boot: 5_212_873_469_012_345,
    everyMs: 10_000,
    synced: false,
    pendingSinceMs: 1_763_949_000_000,
    previous: { boot: 8_123_409_871_234_567, slots: 8_841 },
    lost: [{ from: 17, to: 40, reason: "backlog_full" }, { from: 41, to: 41, reason: "unknown" }],
    readings: [
      {
        kind: "reading",
        seq: 42,
        tsMs: T,
        temperatureMilliC: 21_400,
        humidityMilliPct: 48_200,
        fault: null,
        flag: "stuck",
      },
      {
        kind: "reading",
        seq: 43,
        tsMs: T + 1,
        temperatureMilliC: null,
        humidityMilliPct: null,
        fault: "checksum",
        flag: null,
      },
    ],
  });
  assert.equal(rawReading(1), `{"seq":43,"ts":${T + 1},"error":"checksum"}`);
});

Deno.test("a plain reading is a batch of one, its absent fields have their defaults", () => {
  const { rawReading: _, ...batch } = batchOf('{"device":"desk","temperature_c":21.5}');
  assert.deepEqual(batch, {
    device: "desk",
    boot: null,
    everyMs: null,
    synced: true,
    pendingSinceMs: null,
    previous: null,
    lost: [],
    readings: [{
      kind: "reading",
      seq: null,
      tsMs: null,
      temperatureMilliC: 21_500,
      humidityMilliPct: null,
      fault: null,
      flag: null,
    }],
  });
});

Deno.test("null means absent, in the batch and in a reading", () => {
  const batch = batchOf(
    `{"device":"d","boot":null,"synced":null,"pending_since":null,"previous":null,"lost":null,
    "readings":[{"seq":null,"ts":null,"temperature_c":null,"humidity_pct":1,"error":null,"flag":null}]}`,
  );
  assert.equal(batch.synced, true);
  assert.equal(batch.readings[0]!.kind, "reading");
});

Deno.test("a batch without readings may tell what was lost or what the boot before had", () => {
  assert.equal(batchOf('{"device":"d","boot":1,"readings":[],"lost":[{"from":0,"to":0}]}').lost.length, 1);
  assert.equal(
    batchOf('{"device":"d","boot":1,"readings":[],"previous":{"boot":0,"slots":0}}').previous?.slots,
    0,
  );
  assert.deepEqual(problemsOf('{"device":"d","readings":[]}'), [
    { path: "/readings", message: "is empty: send at least one reading" },
  ]);
});

Deno.test("every bound holds at itself and not one further", () => {
  const list = (count: number, of: string) => `[${Array(count).fill(of).join(",")}]`;
  const withReadings = (count: number) => `{"device":"d","readings":${list(count, '{"humidity_pct":1}')}}`;
  assert.equal(batchOf(withReadings(4_096)).readings.length, 4_096);
  assert.deepEqual(problemsOf(withReadings(4_097)), [
    {
      path: "/readings",
      message: "has 4097 readings, at most 4096 fit: send several batches",
      tooLarge: true,
    },
  ]);
  const withLost = (count: number) =>
    `{"device":"d","readings":[],"lost":${list(count, '{"from":0,"to":0}')}}`;
  assert.equal(batchOf(withLost(256)).lost.length, 256);
  assert.equal(problemsOf(withLost(257))[0]!.path, "/lost");
  assert.equal(deviceNameProblem("x".repeat(128)), null);
  assert.equal(deviceNameProblem("x".repeat(129)), "must have 1 to 128 characters, has 129");
  const fields: readonly (readonly [field: string, good: readonly string[], bad: readonly string[]])[] = [
    ["boot", ["0", "9007199254740991"], ["-1", "9007199254740992", "1.5", "true"]],
    ["every_ms", ["100", "86400000"], ["99", "86400001"]],
    ["pending_since", ["0", "9999999999999"], ["-1", "10000000000000"]],
  ];
  for (const [field, good, bad] of fields) {
    for (const value of good) batchOf(`{"device":"d","${field}":${value},"humidity_pct":1}`);
    for (const value of bad) {
      assert.equal(problemsOf(`{"device":"d","${field}":${value},"humidity_pct":1}`)[0]!.path, `/${field}`);
    }
  }
  const readingFields:
    readonly (readonly [field: string, good: readonly string[], bad: readonly string[]])[] = [
      ["seq", ["0", "9999999999"], ["-1", "10000000000", "0.5"]],
      ["ts", ["0", "9999999999999"], ["-1", "10000000000000"]],
      ["error", ['"a"', `"${"a".repeat(32)}"`], ['""', `"${"a".repeat(33)}"`, '"A"', '"a b"', "1"]],
    ];
  for (const [field, good, bad] of readingFields) {
    const rest = field === "error" ? "" : ',"humidity_pct":1';
    for (const value of good) assert.equal(readingOf(`"${field}":${value}${rest}`).kind, "reading", value);
    for (const value of bad) assert.equal(readingOf(`"${field}":${value}${rest}`).kind, "malformed", value);
  }
});

Deno.test("integers may be written with a point, an exponent or a sign", () => {
  const texts = ["42", "42.0", "4.2e1", "42.00000000000000000", "0.00000000000000000042e20"];
  for (const text of texts) assert.equal(readingOf(`"seq":${text},"humidity_pct":1`).seq, 42, text);
  assert.ok(Object.is(readingOf('"seq":-0,"humidity_pct":1').seq, 0));
});

Deno.test("device names may hold any printable text, and nothing else", () => {
  for (
    const name of ["a", "Küche süd", "🌡", "__proto__", '"', "\\", "../etc", "'; DROP TABLE readings; --"]
  ) {
    assert.equal(deviceNameProblem(name), null, name);
  }
  for (const name of ["\n", "a\u0000", "a\r\nb", "\u007f", "\u0085", "a\u2028", "\u2029", "\t"]) {
    assert.equal(deviceNameProblem(name), "must not contain control characters");
  }
  assert.equal(deviceNameProblem("\ud800"), "must be well-formed Unicode (it has half of a surrogate pair)");
});

Deno.test("a malformed reading says everything that is wrong, and keeps seq and ts if they can be read", () => {
  assert.deepEqual(readingOf(`"seq":3,"ts":${T},"temperature_c":"x","humidity_pct":[],"flag":"No"`), {
    kind: "malformed",
    seq: 3,
    tsMs: T,
    detail: "temperature_c must be a finite number; humidity_pct must be a finite number; " +
      "flag must be a word of a–z, 0–9 and _, at most 32 characters",
  });
  assert.deepEqual(batchOf('{"device":"d","readings":[7]}').readings, [
    { kind: "malformed", seq: null, tsMs: null, detail: "a reading must be an object" },
  ]);
});

Deno.test("long numbers are rounded by their text, not by a double", () => {
  const cases: readonly (readonly [string, number])[] = [
    ["21.400499999999999999", 21_400],
    ["21.400500000000000000", 21_401],
    ["9000499999999999e-15", 9_000],
    ["9000500000000000e-15", 9_001],
    ["-0.00050000000000000001", -1],
  ];
  for (const [text, expected] of cases) {
    const reading = readingOf(`"temperature_c":${text}`);
    assert.equal(reading.kind === "reading" && reading.temperatureMilliC, expected, text);
  }
});

Deno.test("nesting is refused by its depth alone, not by the stack that is left", () => {
  const nested = (depth: number) =>
    `{"device":"d","humidity_pct":1,"x":${"[".repeat(depth - 1)}${"]".repeat(depth - 1)}}`;
  batchOf(nested(limits.nestingMax));
  const message = "is not JSON: nested deeper than 32 levels";
  assert.deepEqual(problemsOf(nested(limits.nestingMax + 1)), [{ path: "", message }]);
  assert.deepEqual(problemsOf(nested(200_000)), [{ path: "", message }]);
  assert.deepEqual(problemsOf(`{"x":12345678901234567,"y":${"[".repeat(200_000)}`), [{ path: "", message }]);
});

Deno.test("brackets in strings and siblings are no nesting", () => {
  batchOf(`{"device":"d","humidity_pct":1,"x":"${"[{".repeat(100)}\\"${"[".repeat(100)}\\\\"}`);
  batchOf(`{"device":"d","humidity_pct":1,"x":[${Array(1_000).fill("[{}]").join(",")}]}`);
});

Deno.test("whatever bytes come, decoding ends in a batch or in problems (20,000 mutations)", () => {
  const random = seededRandom(1, "schema");
  const seeds = [
    `{"device":"d","boot":5212873469012345,"every_ms":10000,"lost":[{"from":1,"to":2,"reason":"x"}],"readings":[{"seq":41,"ts":${T},"temperature_c":21.4,"humidity_pct":48.2},{"seq":42,"error":"checksum"}]}`,
    '{"device":"Küche","temperature_c":-1.25000000000000000001e1}',
  ].map(bytes);
  let batches = 0;
  for (let i = 0; i < 20_000; i++) {
    const value = mutated(seeds[below(random, seeds.length)]!, random);
    const decoded = decodeBatch(value);
    assert.deepEqual(simple(decodeBatchClosely(value)), simple(decoded));
    if (decoded.kind === "problems") {
      assert.ok(decoded.problems.length > 0);
      continue;
    }
    batches++;
    assert.equal(deviceNameProblem(decoded.batch.device), null);
    decoded.batch.readings.forEach((reading, index) => {
      decoded.batch.rawReading(index);
      for (const field of Object.values(reading)) {
        assert.ok(typeof field !== "number" || Number.isSafeInteger(field));
      }
    });
  }
  assert.ok(batches > 2_000, `${batches} of 20,000 mutations were still batches`);
});

const simple = (decoded: ReturnType<typeof decodeBatch>) =>
  decoded.kind === "batch" ? { ...decoded.batch, rawReading: null } : decoded;

/** One to three bytes changed, removed, doubled or swapped for one that JSON cares about. */
function mutated(seed: Uint8Array, random: Random): Uint8Array {
  const JSON_BYTES = bytes('{}[]",:0123456789.-+eE\\ntrufals \u0000\u00ff');
  const result = [...seed];
  for (let i = 0; i <= below(random, 3); i++) {
    const at = below(random, result.length);
    const byte = JSON_BYTES[below(random, JSON_BYTES.length)]!;
    switch (below(random, 4)) {
      case 0:
        result[at] = byte;
        break;
      case 1:
        result.splice(at, 1 + below(random, 4));
        break;
      case 2:
        result.splice(at, 0, byte);
        break;
      default:
        result.splice(at, 0, ...result.slice(at, at + 20));
    }
  }
  return Uint8Array.from(result);
}

Deno.test("a record is known by its headers; what is newer or unknown stops with a sentence", () => {
  const kindOf = (headers: Record<string, string>, value: Uint8Array | null = bytes("{}")) => {
    const classified = classify({ partition: 2, offset: 9, value, headers });
    return classified.kind === "unknown" ? classified.sentence : classified.kind;
  };
  assert.equal(kindOf({}), "batch");
  assert.equal(kindOf({ isotherm: "1" }), "batch");
  assert.equal(kindOf({ isotherm: "1.7" }), "batch");
  assert.equal(kindOf({}, null), "tick");
  for (const kind of ["batch", "tick", "owner", "device", "release"]) {
    assert.equal(kindOf({ "isotherm-kind": kind }), kind);
  }
  assert.equal(
    kindOf({ isotherm: "2" }),
    'record 9 of partition 2 has version "2", this build reads 1: run a newer Isotherm on this log; nothing was skipped',
  );
  assert.equal(
    kindOf({ "isotherm-kind": "toString" }),
    'record 9 of partition 2 is of the kind "toString", which this build doesn\'t know: run a newer Isotherm on this ' +
      "log; nothing was skipped",
  );
});

Deno.test("control records are decoded, or say what is bad about them", () => {
  assert.deepEqual(decodeOwner(bytes('{"worker":"w"}')), { kind: "ok", value: { worker: "w" } });
  assert.deepEqual(decodeOwner(bytes('{"worker":7}')), { kind: "bad", detail: "worker must be a string" });
  assert.deepEqual(decodeOwner(null), { kind: "bad", detail: "the value is not JSON in UTF-8" });
  assert.deepEqual(decodeDeviceRecord(bytes('{"action":"retire"}')), {
    kind: "ok",
    value: { action: "retire" },
  });
  assert.deepEqual(decodeDeviceRecord(bytes('{"action":"rename","name":"new"}')), {
    kind: "ok",
    value: { action: "rename", name: "new" },
  });
  assert.deepEqual(decodeDeviceRecord(bytes('{"action":"rename"}')), {
    kind: "bad",
    detail: "name must be a device name",
  });
  const release = decodeRelease(
    bytes('{"device":"d","offset":3,"index":0,"boot":1,"reading":{"seq":2,"humidity_pct":9}}'),
  );
  assert.equal(release.kind, "ok");
  assert.deepEqual(decodeRelease(bytes('{"device":"d","offset":3,"index":0,"reading":{}}')), {
    kind: "bad",
    detail: "reading: it carries neither temperature_c nor humidity_pct nor error",
  });
});

Deno.test("parsing keeps numbers of up to 15 digits as numbers", () => {
  assert.deepEqual(
    parseJson('{"a":1763950000123,"b":9007199254740991,"c":21.4,"d":"12345678901234567890"}'),
    {
      a: 1_763_950_000_123,
      b: 9_007_199_254_740_991,
      c: 21.4,
      d: "12345678901234567890",
    },
  );
});
