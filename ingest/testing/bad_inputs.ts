/**
 * Bad inputs and what becomes of each: refused as a whole (nothing of it reaches the log), or taken with the readings
 * that will be quarantined. `T` is a time at which readings are good; the cases are the same over HTTP and on a topic.
 */
import type { ProblemName } from "../../core/problem.ts";
import type { QuarantineReason } from "../../core/rows.ts";

export interface BadInput {
  readonly name: string;
  readonly body: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly outcome:
    | { readonly status: number; readonly problem: ProblemName; readonly paths?: readonly string[] }
    | { readonly status: 202; readonly flagged: readonly (readonly [index: number, QuarantineReason])[] };
}

const encoder = new TextEncoder();
const NDJSON = { "content-type": "application/x-ndjson" };
const DAY_MS = 86_400_000;

/** The table for readings around `T`, a Unix time in ms at which the log is. */
export function badInputs(T: number): readonly BadInput[] {
  const good = { seq: 0, ts: T, temperature_c: 21.4, humidity_pct: 48.2 };
  const batch = (fields: Record<string, unknown>) =>
    JSON.stringify({ device: "bad", boot: 1, readings: [good], ...fields });
  /** One odd reading between two good ones. */
  const between = (odd: string) =>
    `{"device":"bad","boot":1,"readings":[${JSON.stringify(good)},${odd},${
      JSON.stringify({ ...good, seq: 2, ts: T + 2 })
    }]}`;
  const reading = (fields: Record<string, unknown>) =>
    between(JSON.stringify({ ...good, seq: 1, ts: T + 1, ...fields }));
  const refused = (
    name: string,
    body: BadInput["body"],
    paths: readonly string[] = [""],
    headers?: Record<string, string>,
  ): BadInput => ({
    name,
    body,
    ...(headers === undefined ? {} : { headers }),
    outcome: { status: 400, problem: "no-batch", paths },
  });
  const flagged = (name: string, body: string, reason: QuarantineReason, index = 1): BadInput => ({
    name,
    body,
    outcome: { status: 202, flagged: [[index, reason]] },
  });
  const answered = (
    name: string,
    body: BadInput["body"],
    status: number,
    problem: ProblemName,
    headers?: Record<string, string>,
  ): BadInput => ({
    name,
    body,
    ...(headers === undefined ? {} : { headers }),
    outcome: { status, problem },
  });
  const taken = (name: string, body: BadInput["body"], headers?: Record<string, string>): BadInput => ({
    name,
    body,
    ...(headers === undefined ? {} : { headers }),
    outcome: { status: 202, flagged: [] },
  });
  return [
    // No batch at all.
    refused("an empty body", ""),
    refused("blanks", "  \n "),
    refused("not JSON", "temperature=21.5"),
    refused("JSON cut off in the middle", '{"device":"bad","temperature_c":2'),
    refused("two documents in one", '{"device":"bad","temperature_c":1}{"device":"bad","temperature_c":2}'),
    refused("NaN", '{"device":"bad","temperature_c":NaN}'),
    refused("Infinity", '{"device":"bad","temperature_c":-Infinity}'),
    refused("a comma too many", '{"device":"bad","temperature_c":1,}'),
    refused("single quotes", "{'device':'bad','temperature_c':1}"),
    refused("a comment", '{"device":"bad" /* desk */,"temperature_c":1}'),
    refused("a hexadecimal number", '{"device":"bad","temperature_c":0x15}'),
    refused("a decimal comma", '{"device":"bad","temperature_c":21,5}'),
    refused("null", "null"),
    refused("a number", "21.5"),
    refused("a string", '"21.5"'),
    refused("an array of readings", `[${JSON.stringify(good)}]`),
    refused(
      "invalid UTF-8",
      Uint8Array.of(...encoder.encode('{"device":"ba'), 0xff, 0xfe, ...encoder.encode('"}')),
    ),
    refused(
      "an overlong UTF-8 slash",
      Uint8Array.of(...encoder.encode('{"device":"'), 0xc0, 0xaf, 0x22, 0x7d),
    ),
    refused("UTF-16", new Uint8Array(new Uint16Array([...batch({})].map((c) => c.charCodeAt(0))).buffer)),
    refused("a NUL in the middle", '{"device":"bad",\u0000"temperature_c":1}'),
    refused("nesting 100,000 deep", "[".repeat(100_000)),
    refused(
      "nesting 33 deep in a field nobody reads",
      batch({ extra: JSON.parse("[".repeat(32) + "]".repeat(32)) }),
    ),
    // A batch with fields that make no sense.
    refused("no device", '{"temperature_c":21.5}', ["/device"]),
    refused("a device that is null", batch({ device: null }), ["/device"]),
    refused("a device that is a number", batch({ device: 7 }), ["/device"]),
    refused("an empty device", batch({ device: "" }), ["/device"]),
    refused("a device of 129 characters", batch({ device: "x".repeat(129) }), ["/device"]),
    refused("a device with CRLF", batch({ device: "bad\r\nx-evil: 1" }), ["/device"]),
    refused("a device with NUL", batch({ device: "bad\u0000" }), ["/device"]),
    refused("a device with half a surrogate pair", '{"device":"bad\\ud800","temperature_c":1}', ["/device"]),
    refused("a boot that is text", batch({ boot: "1" }), ["/boot"]),
    refused("a negative boot", batch({ boot: -1 }), ["/boot"]),
    refused("a boot of 2^53", '{"device":"bad","boot":9007199254740992,"readings":[]}', [
      "/boot",
      "/readings",
    ]),
    refused("an interval of zero", batch({ every_ms: 0 }), ["/every_ms"]),
    refused("an interval of two days", batch({ every_ms: 2 * DAY_MS }), ["/every_ms"]),
    refused("synced that is text", batch({ synced: "true" }), ["/synced"]),
    refused("pending_since that is text", batch({ pending_since: "2026-01-01" }), ["/pending_since"]),
    refused("previous without slots", batch({ previous: { boot: 3 } }), ["/previous"]),
    refused("lost that ends before it starts", batch({ lost: [{ from: 9, to: 3, reason: "x" }] }), [
      "/lost/0",
    ]),
    refused("lost with a sentence as reason", batch({ lost: [{ from: 1, to: 3, reason: "No space!" }] }), [
      "/lost/0/reason",
    ]),
    refused("readings that are an object", batch({ readings: { 0: good } }), ["/readings"]),
    refused("an empty batch", batch({ readings: [] }), ["/readings"]),
    refused("many problems at once", batch({ device: "", boot: 1.5, synced: 1, lost: [1] }), [
      "/device",
      "/boot",
      "/synced",
      "/lost/0",
    ]),
    // Too large.
    answered("10,000 readings", batch({ readings: Array(10_000).fill(good) }), 413, "too-large"),
    answered(
      "257 lost spans",
      batch({ lost: Array(257).fill({ from: 1, to: 1, reason: "x" }) }),
      400,
      "no-batch",
    ),
    answered("a body of 900,001 bytes", batch({}).padEnd(900_001), 413, "too-large"),
    answered("a stated length of 100 MB", batch({}), 413, "too-large", { "content-length": "100000000" }),
    answered("a line of 900,001 bytes", batch({}).padEnd(900_001), 413, "too-large", NDJSON),
    answered("20,001 lines", `{"device":"bad","temperature_c":1}\n`.repeat(20_001), 413, "too-large", NDJSON),
    // Other formats.
    answered("a form with files", "--x\r\n", 415, "unknown-format", {
      "content-type": "multipart/form-data; boundary=x",
    }),
    answered("CSV", "device;temperature\n", 415, "unknown-format", { "content-type": "text/csv" }),
    answered("a charset that isn't UTF-8", batch({}), 415, "unknown-format", {
      "content-type": "application/json; charset=iso-8859-1",
    }),
    answered("an unknown encoding", batch({}), 415, "unknown-format", { "content-encoding": "br" }),
    answered("a content type named like a prototype's member", batch({}), 415, "unknown-format", {
      "content-type": "__proto__",
    }),
    answered("a page of another origin", batch({}), 403, "not-allowed", { origin: "http://evil.example" }),
    // Lines.
    refused("NDJSON without a line", "\n\r\n", [""], NDJSON),
    refused("one broken line among good ones", `${batch({})}\n{"device":\n${batch({})}`, ["/1"], NDJSON),
    refused("lines sent as JSON", `${batch({})}\n${batch({})}`),
    // Single readings: only they are held back.
    flagged("a reading that is null", between("null"), "malformed"),
    flagged("a reading that is a number", between("21.5"), "malformed"),
    flagged("a reading that is an array", between("[21.5]"), "malformed"),
    flagged("an empty reading", between("{}"), "malformed"),
    flagged("a temperature that is text", reading({ temperature_c: "21.5" }), "malformed"),
    flagged("a temperature that is true", reading({ temperature_c: true }), "malformed"),
    flagged("a temperature of 1e400", between(`{"seq":1,"ts":${T + 1},"temperature_c":1e400}`), "malformed"),
    flagged(
      "a temperature of 1e400 in long",
      between(`{"seq":1,"ts":${T + 1},"temperature_c":1.0000000000000000e400}`),
      "malformed",
    ),
    flagged(
      "a temperature nested deep",
      between(`{"seq":1,"temperature_c":${"[".repeat(20)}1${"]".repeat(20)}}`),
      "malformed",
    ),
    flagged("a value and an error", reading({ error: "checksum" }), "malformed"),
    flagged("an error that is a sentence", between('{"seq":1,"error":"Not connected!"}'), "malformed"),
    flagged("a negative seq", reading({ seq: -1 }), "malformed"),
    flagged("a seq of 1e10", reading({ seq: 1e10 }), "malformed"),
    flagged("a seq with a fraction", reading({ seq: 1.5 }), "malformed"),
    flagged("a time as text", reading({ ts: "2026-01-01T00:00:00Z" }), "malformed"),
    flagged("a negative time", reading({ ts: -1 }), "malformed"),
    flagged("a time of the year 2287", reading({ ts: 10_000_000_000_000 }), "malformed"),
    flagged("a time in seconds", reading({ ts: Math.floor(T / 1_000) }), "no_time"),
    flagged("a time of 1970", reading({ ts: 0 }), "no_time"),
    flagged("no time in a batch of several", reading({ ts: null }), "no_time"),
    flagged("a time a day ahead", reading({ ts: T + DAY_MS }), "future"),
    flagged("a time a year ahead", reading({ ts: T + 365 * DAY_MS }), "future"),
    flagged("a sensor's −200", reading({ temperature_c: -200 }), "out_of_range"),
    flagged("a temperature of −40.001", reading({ temperature_c: -40.001 }), "out_of_range"),
    flagged("a temperature of 80.001", reading({ temperature_c: 80.001 }), "out_of_range"),
    flagged("a temperature of 1e308", reading({ temperature_c: 1e308 }), "out_of_range"),
    flagged("a humidity of 255", reading({ humidity_pct: 255 }), "out_of_range"),
    flagged("a humidity of −0.001", reading({ humidity_pct: -0.001 }), "out_of_range"),
    flagged(
      "a humidity of 100.0005 in long",
      between(`{"seq":1,"ts":${T + 1},"humidity_pct":100.00050000000000000}`),
      "out_of_range",
    ),
    // Odd, and yet good.
    taken("a device named __proto__", batch({ device: "__proto__" })),
    taken("a device named constructor", batch({ device: "constructor" })),
    taken("a field named __proto__", '{"device":"odd","temperature_c":1,"__proto__":{"readings":[]}}'),
    taken(
      "duplicate keys: the last counts",
      '{"device":"first","device":"odd","temperature_c":99,"temperature_c":1}',
    ),
    taken("unknown fields", batch({ device: "odd", firmware: "1.2", rssi: -70 })),
    taken("a byte order mark", "\ufeff" + batch({ device: "odd" })),
    taken("a device in another script, with a quote and a slash", batch({ device: 'Küche "süd"/🌡' })),
    taken(
      "a time of exactly the bound ahead",
      batch({ device: "odd", readings: [{ ...good, ts: T + 300_000 }] }),
    ),
    taken("a time of 2015", batch({ device: "odd", readings: [{ ...good, ts: 1_420_070_400_000 }] })),
    taken(
      "extreme values",
      batch({ device: "odd", readings: [{ ...good, temperature_c: -40, humidity_pct: 100 }] }),
    ),
  ];
}
