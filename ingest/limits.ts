/** Bounds of ingest's own making, with their reasons and what happens at them. Those of the server: `httpLimits`. */
import { assert } from "../core/assert.ts";
import { limits } from "../core/limits.ts";

export const ingestLimits = {
  /** A JSON body is one record. Above: 413. */
  jsonBytesMax: limits.batchBytesMax,
  /** An NDJSON body is many records; enough for an import at full speed. Above: 413. */
  ndjsonBytesMax: 4_194_304,
  /** Readings in all batches of one request. Above: 413. */
  readingsPerRequestMax: 20_000,
  /** From the first to the last byte of a body. Above: 408. A board on bad radio sends 900 kB at 0.5 Mbit/s. */
  bodyMs: 20_000,
  /** Bytes of bodies in memory, from the first byte received to the answer, over all requests. Above: 503. */
  heldBytesMax: 50_331_648,
  /** Requests of one device that wait for their turn; an honest device has one. Above: 429. */
  waitingPerDeviceMax: 8,
  /** Bytes handed to the log and not yet durable; the rest waits in fair order here, where it can be reordered. */
  windowBytesMax: 2_097_152,
  /** Records handed to the log and not yet durable: two of a Kafka writer's commits, so that it never waits for us. */
  windowRecordsMax: 2_000,
  /** A device's turn lasts so many bytes: a batch of 60 readings and some. */
  turnBytes: 16_384,
  /** The time in the queue that credit aims at. Live readings share the queue with backlogs. */
  waitTargetMs: 50,
  /** How often credit is adjusted. */
  creditStepMs: 100,
  /** The most readings that one request is invited to carry. */
  creditMax: limits.readingsPerBatchMax,
  /** Flagged readings that an answer lists; the rest is counted in `flagged_more`. */
  flaggedListedMax: 1_000,
  /** The longest `Retry-After`. */
  retryAfterMsMax: 30_000,
} as const;

export type IngestLimits = { readonly [K in keyof typeof ingestLimits]: number };

assert(ingestLimits.jsonBytesMax <= ingestLimits.ndjsonBytesMax, "a JSON body fits where lines do");
assert(ingestLimits.ndjsonBytesMax * 4 < ingestLimits.heldBytesMax, "several large bodies fit into memory");
