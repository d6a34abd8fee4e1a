/** Bounds of ingest's own making, with their reasons and what happens at them. Those of the server: `httpLimitSpecs`. */
import { assert } from "../core/assert.ts";
import { type LimitSpecs, type LimitValues, limitValues } from "../core/limit_table.ts";
import { limits } from "../core/limits.ts";

export const ingestLimitSpecs = {
  jsonBytesMax: {
    value: limits.batchBytesMax,
    unit: "bytes",
    meaning: "a JSON body, also after expansion: it is one record",
    consequence: "413",
  },
  ndjsonBytesMax: {
    value: 4_194_304,
    unit: "bytes",
    meaning: "an NDJSON or line protocol body, also after expansion: enough for an import at full speed",
    consequence: "413",
  },
  readingsPerRequestMax: {
    value: 20_000,
    unit: "readings",
    meaning: "readings in all batches of one request",
    consequence: "413",
  },
  bodyMs: {
    value: 20_000,
    unit: "ms",
    meaning: "from the first to the last byte of a body: 900 kB over a bad radio",
    consequence: "408",
  },
  heldBytesMax: {
    value: 33_554_432,
    unit: "bytes",
    meaning: "bodies in memory, from the first byte received to the answer, over all requests",
    consequence: "503 with Retry-After",
  },
  waitingPerDeviceMax: {
    value: 8,
    unit: "requests",
    meaning: "requests of one device that wait for their turn; an honest device has one",
    consequence: "429 with Retry-After",
  },
  windowBytesMax: {
    value: 1_048_576,
    unit: "bytes",
    meaning: "bytes handed to the log and not yet durable",
    consequence: "the rest waits in fair order, where it can still be reordered",
  },
  windowRecordsMax: {
    value: 2_000,
    unit: "records",
    meaning: "records handed to the log and not yet durable: a Kafka writer's next send is always at hand",
    consequence: "the rest waits in fair order",
  },
  turnBytes: {
    value: 16_384,
    unit: "bytes",
    meaning: "by so much a device may be ahead of its share of the log: a live reading now and then",
    consequence: "it waits until the others have had as much",
  },
  creditMax: {
    value: limits.readingsPerBatchMax,
    unit: "readings",
    meaning: "readings that one request is invited to carry",
    consequence: "",
  },
  creditSoftMin: {
    value: 128,
    unit: "readings",
    meaning:
      "the least credit while a round takes no longer than its longest time: a request costs as much as 60 readings",
    consequence: "",
  },
  readingBytes: {
    value: 100,
    unit: "bytes",
    meaning: "that a reading takes in a body, for what all may send at once: half of the room for bodies",
    consequence: "credit falls, so that who honours it finds room",
  },
  sendersMs: {
    value: 2_000,
    unit: "ms",
    meaning: "over which distinct senders are counted",
    consequence: "credit is shared among them",
  },
  creditStepMs: {
    value: 250,
    unit: "ms",
    meaning: "over which the log's rate is measured",
    consequence: "",
  },
  roundMs: {
    value: 500,
    unit: "ms",
    meaning: "in which all who wait shall get a turn",
    consequence: "credit falls",
  },
  roundMsMax: {
    value: 4_000,
    unit: "ms",
    meaning: "the same, once credit is at its least: a board waits 10 s for an answer",
    consequence: "credit falls further, down to 1",
  },
  flaggedListedMax: {
    value: 1_000,
    unit: "readings",
    meaning: "flagged readings that an answer lists",
    consequence: "the rest is counted in flagged_more",
  },
  retryAfterMsMax: {
    value: 30_000,
    unit: "ms",
    meaning: "the longest Retry-After",
    consequence: "",
  },
} as const satisfies LimitSpecs;

export type IngestLimits = LimitValues<typeof ingestLimitSpecs>;
export const ingestLimits: IngestLimits = limitValues(ingestLimitSpecs);

assert(ingestLimits.jsonBytesMax <= ingestLimits.ndjsonBytesMax, "a JSON body fits where lines do");
assert(ingestLimits.ndjsonBytesMax * 4 < ingestLimits.heldBytesMax, "several large bodies fit into memory");
