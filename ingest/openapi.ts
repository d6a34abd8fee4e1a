/**
 * The contract in the open: an OpenAPI 3.1 document made from the same bounds and tables that validate. The decoder of
 * `core/schema.ts` is code, not a schema, for speed and for its messages; a test draws thousands of values and holds
 * decoder and schema to the same verdict, so neither can drift.
 */
import { limits } from "../core/limits.ts";
import { problemKinds, problemMediaType, type ProblemName } from "../core/problem.ts";
import { quarantineReasons } from "../core/rows.ts";
import { precisionNames } from "./influx.ts";
import { ingestLimits } from "./limits.ts";

/** A JSON Schema (2020-12) of the keywords that we use. */
export interface Schema {
  readonly $ref?: string;
  readonly title?: string;
  readonly description?: string;
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly enum?: readonly (string | number)[];
  readonly not?: Schema;
  readonly examples?: readonly unknown[];
}

const integer = (minimum: number, maximum: number, description: string): Schema => ({
  type: ["integer", "null"],
  minimum,
  maximum,
  description,
});
const word = (description: string): Schema => ({
  type: ["string", "null"],
  minLength: 1,
  maxLength: limits.wordLengthMax,
  pattern: "^[a-z0-9_]+$",
  description,
});
const channel = (description: string): Schema => ({ type: ["number", "null"], description });

const readingProperties: Readonly<Record<string, Schema>> = {
  seq: integer(0, limits.slotsPerBootMax - 1, "Number of the sampling slot in its boot: 0, 1, 2 …"),
  ts: integer(0, limits.eventMsMax, "When it was measured, Unix ms. Needed in a batch of several."),
  temperature_c: channel(
    `Temperature in °C. Outside ${limits.temperatureMilliCMin / 1_000} to ${
      limits.temperatureMilliCMax / 1_000
    } ` +
      "it is quarantined as out_of_range.",
  ),
  humidity_pct: channel("Relative humidity in %. Outside 0 to 100 it is quarantined as out_of_range."),
  error: word("Why the sensor gave no values (`checksum`, `timeout` …); then there are none."),
  flag: word("What the device found odd about the values (`stuck`)."),
};

const present = (name: string): Schema => ({
  required: [name],
  properties: { [name]: { not: { type: "null" } } },
});

/** What a reading must carry: a value and no error, or an error and no value. */
const readingContent: readonly Schema[] = [
  { ...present("temperature_c"), not: present("error") },
  { ...present("humidity_pct"), not: present("error") },
  { ...present("error"), not: { anyOf: [present("temperature_c"), present("humidity_pct")] } },
];

const deviceSchema: Schema = {
  type: "string",
  minLength: 1,
  maxLength: limits.deviceNameLengthMax,
  pattern: "^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]*$",
  description: "Name of the device: any printable text. All its records are ordered.",
  examples: ["greenhouse-3"],
};

const batchProperties: Readonly<Record<string, Schema>> = {
  device: deviceSchema,
  boot: integer(0, Number.MAX_SAFE_INTEGER, "Number of this start of the device: 53 random bits."),
  every_ms: integer(limits.everyMsMin, limits.everyMsMax, "Sampling interval in ms, for what is expected."),
  synced: {
    type: ["boolean", "null"],
    description: "False: `ts` is the device's estimate; counted as time_uncertain, moves no watermark.",
  },
  pending_since: integer(
    0,
    limits.eventMsMax,
    "Time of the oldest reading still unsent after this batch, Unix ms.",
  ),
  previous: {
    type: ["object", "null"],
    description: "How many slots the boot before had, so that a missing tail is known.",
    properties: {
      boot: { type: "integer", minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
      slots: { type: "integer", minimum: 0, maximum: limits.slotsPerBootMax },
    },
    required: ["boot", "slots"],
  },
  lost: {
    type: ["array", "null"],
    maxItems: limits.lostSpansPerBatchMax,
    description: "Spans of slots that the device had to give up, both ends included.",
    items: {
      type: "object",
      properties: {
        from: { type: "integer", minimum: 0, maximum: limits.slotsPerBootMax - 1 },
        to: {
          type: "integer",
          minimum: 0,
          maximum: limits.slotsPerBootMax - 1,
          description: "At least `from`.",
        },
        reason: word("Why, for instance `backlog_full`."),
      },
      required: ["from", "to"],
    },
  },
};

const EXAMPLE_MS = 1_763_950_000_123;

export const schemas: Readonly<Record<string, Schema>> = {
  Reading: {
    type: "object",
    description:
      "One sampling slot: values, or the cause why there are none. What is wrong with one costs only that " +
      "one: it is taken into the log, flagged as `malformed` and quarantined.",
    properties: readingProperties,
    anyOf: readingContent,
    examples: [{ seq: 41, ts: EXAMPLE_MS, temperature_c: 21.4, humidity_pct: 48.2 }],
  },
  Batch: {
    type: "object",
    description: "Readings of one device and boot, sent together.",
    properties: {
      ...batchProperties,
      readings: {
        type: "array",
        maxItems: limits.readingsPerBatchMax,
        items: { $ref: "#/components/schemas/Reading" },
        description: "May be empty only if the batch tells of `lost` or `previous`.",
      },
    },
    required: ["device", "readings"],
    anyOf: [
      { properties: { readings: { type: "array", minItems: 1 } } },
      { properties: { lost: { type: "array", minItems: 1 } }, required: ["lost"] },
      present("previous"),
    ],
    examples: [{
      device: "greenhouse-3",
      boot: 5_212_873_469_012_345,
      every_ms: 10_000,
      readings: [
        { seq: 41, ts: EXAMPLE_MS, temperature_c: 21.4, humidity_pct: 48.2 },
        { seq: 42, ts: EXAMPLE_MS + 9_990, error: "checksum" },
      ],
    }],
  },
  PlainReading: {
    type: "object",
    description:
      "A batch of one: the fields of batch and reading side by side. Without `ts` the log's time counts.",
    properties: { ...batchProperties, ...readingProperties },
    required: ["device"],
    not: { required: ["readings"] },
    anyOf: readingContent,
    examples: [{ device: "desk", temperature_c: 21.5, humidity_pct: 40 }],
  },
  Accepted: {
    type: "object",
    description: "The readings are in the log, durably.",
    properties: {
      accepted: { type: "integer", minimum: 0, description: "Readings that are in the log now." },
      flagged: {
        type: "array",
        description: "Readings that won't be counted as they are.",
        items: {
          type: "object",
          properties: {
            index: { type: "integer", minimum: 0, description: "Counts the readings of the whole request." },
            reason: { type: "string", enum: [...quarantineReasons] },
            detail: { type: "string" },
          },
          required: ["index", "reason", "detail"],
        },
      },
      flagged_more: {
        type: "integer",
        minimum: 1,
        description: `Flagged readings beyond the ${ingestLimits.flaggedListedMax} that are listed.`,
      },
      now: { type: "integer", description: "The server's clock, Unix ms." },
      credit: { type: "integer", minimum: 1, description: "Readings that the next request may carry." },
    },
    required: ["accepted", "flagged", "now", "credit"],
  },
  DeviceAction: {
    type: "object",
    properties: { action: { type: "string", enum: ["retire", "rename"] } },
    required: ["action"],
    anyOf: [
      { properties: { action: { type: "string", enum: ["retire"] } } },
      {
        properties: {
          action: { type: "string", enum: ["rename"] },
          name: { ...deviceSchema, description: "The name that is shown." },
        },
        required: ["name"],
      },
    ],
    examples: [{ action: "rename", name: "Greenhouse, north" }],
  },
  Release: {
    type: "object",
    description: "Counts a corrected reading in place of a quarantined one.",
    properties: {
      device: deviceSchema,
      offset: { type: "integer", minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
      index: { type: "integer", minimum: 0, maximum: limits.readingsPerBatchMax - 1 },
      boot: integer(0, Number.MAX_SAFE_INTEGER, "Boot of the reading."),
      reading: { $ref: "#/components/schemas/Reading" },
    },
    required: ["device", "offset", "index", "reading"],
  },
  Appended: {
    type: "object",
    properties: {
      partition: { type: "integer", minimum: 0 },
      offset: { type: "integer", minimum: 0 },
      append_ms: { type: "integer", description: "Unix ms by the log's clock." },
    },
    required: ["partition", "offset", "append_ms"],
  },
  Problem: {
    type: "object",
    description: "A problem document of RFC 9457.",
    properties: {
      type: { type: "string", enum: Object.keys(problemKinds).map((name) => `/reference#${name}`) },
      title: { type: "string" },
      status: { type: "integer" },
      detail: { type: "string", description: "One sentence about this occurrence." },
      request_id: { type: "string", description: "Finds the request in the trace; also in `X-Request-Id`." },
      problems: {
        type: "array",
        items: {
          type: "object",
          properties: {
            path: {
              type: "string",
              description: "JSON pointer (RFC 6901); in NDJSON it starts with the line.",
            },
            message: { type: "string" },
          },
          required: ["path", "message"],
        },
      },
      problems_more: { type: "integer", minimum: 1 },
    },
    required: ["type", "title", "status", "detail"],
  },
  InfluxError: {
    type: "object",
    properties: { code: { type: "string" }, message: { type: "string" } },
    required: ["code", "message"],
  },
};

const reference = (name: string) => ({ $ref: `#/components/schemas/${name}` });
const json = (name: string) => ({ "application/json": { schema: reference(name) } });

/** Responses by status, from the table of problems. */
function problemResponses(names: readonly ProblemName[]): Record<string, unknown> {
  const responses: Record<string, unknown> = {};
  for (const [status, kinds] of Map.groupBy(names, (name) => problemKinds[name].status)) {
    const retry = status === 429 || status === 503;
    responses[status] = {
      description: kinds.map((name) => `${problemKinds[name].title}. ${problemKinds[name].meaning}`).join(
        " — Or: ",
      ),
      ...retry
        ? { headers: { "Retry-After": { schema: { type: "integer", minimum: 1 }, description: "Seconds." } } }
        : {},
      content: { [problemMediaType]: { schema: reference("Problem") } },
    };
  }
  return responses;
}

const bodyProblems = [
  "no-batch",
  "bad-request",
  "no-key",
  "not-allowed",
  "too-slow",
  "too-large",
  "unknown-format",
  "too-many",
  "internal",
  "log-down",
  "busy",
] as const;

function influxWrite(version: 1 | 2): unknown {
  const error = {
    "application/json": { schema: version === 2 ? reference("InfluxError") : { type: "object" } },
  };
  const refusals = ["400", "401", "403", "408", "413", "415", "429", "503"].map((status) => [
    status,
    { description: "Refused; the message says why.", content: error },
  ]);
  const query = (name: string, description: string, schema: unknown = { type: "string" }) => ({
    name,
    in: "query",
    required: false,
    description,
    schema,
  });
  return {
    post: {
      operationId: version === 2 ? "writeLines" : "writeLines1",
      summary: `Points in line protocol, as InfluxDB ${version} takes them`,
      security: [{}, { bearer: [] }],
      parameters: [
        query("precision", "Unit of the timestamps.", {
          type: "string",
          enum: precisionNames,
          default: "ns",
        }),
        ...version === 2
          ? [query("org", "Ignored."), query("bucket", "Ignored.")]
          : [query("db", "Ignored."), query("p", "The key.")],
      ],
      requestBody: { required: true, content: { "text/plain": { schema: { type: "string" } } } },
      responses: {
        "204": { description: "The readings are in the log, durably." },
        ...Object.fromEntries(refusals),
      },
    },
  };
}

/** The document, ready to be sent as JSON. */
export function openapi(): Readonly<Record<string, unknown>> {
  const batch = { anyOf: [reference("Batch"), reference("PlainReading")] };
  return {
    openapi: "3.1.0",
    info: {
      title: "Isotherm ingest",
      version: "1",
      description: "Takes readings of temperature and humidity into the log. A 2xx means durable.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/" }],
    security: [{}, { bearer: [] }, { header: [] }],
    paths: {
      "/v1/readings": {
        post: {
          operationId: "sendReadings",
          summary: "Batches of readings",
          description:
            "Whatever parses as a batch goes into the log whole, bad readings included; `flagged` tells which " +
            "won't be counted. All or nothing: if a line of NDJSON is no batch, nothing of the request is stored.",
          parameters: [{
            name: "X-Request-Id",
            in: "header",
            required: false,
            description: "Is given back in problem documents, if it has 1 to 64 of A–Z, a–z, 0–9 and _.:-",
            schema: { type: "string" },
          }],
          requestBody: {
            required: true,
            description: "May be compressed: `Content-Encoding: gzip` or `zstd`.",
            content: {
              "application/json": { schema: batch },
              "application/x-ndjson": {
                schema: { type: "string", description: "One batch or reading a line." },
              },
            },
          },
          responses: {
            "202": { description: "In the log, durably.", content: json("Accepted") },
            ...problemResponses(bodyProblems),
          },
        },
      },
      "/v1/devices/{device}": {
        post: {
          operationId: "actOnDevice",
          summary: "Retires or renames a device (admin)",
          parameters: [{ name: "device", in: "path", required: true, schema: deviceSchema }],
          requestBody: { required: true, content: json("DeviceAction") },
          responses: {
            "202": { description: "In the log, durably.", content: json("Appended") },
            ...problemResponses(bodyProblems),
          },
        },
      },
      "/v1/releases": {
        post: {
          operationId: "release",
          summary: "Releases a quarantined reading, corrected (admin)",
          requestBody: { required: true, content: json("Release") },
          responses: {
            "202": { description: "In the log, durably.", content: json("Appended") },
            ...problemResponses(bodyProblems),
          },
        },
      },
      "/api/v2/write": influxWrite(2),
      "/write": influxWrite(1),
    },
    components: {
      schemas,
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer", description: "A key made by `deno task keys`." },
        header: { type: "apiKey", in: "header", name: "X-Api-Key" },
      },
    },
  };
}
