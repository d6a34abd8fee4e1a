/**
 * Every bound of the pipeline's language, with its reason and what happens at it. Bounds of one service's own making
 * stand in that service.
 */
import { assert } from "./assert.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const DAY_MS = 86_400 * SECOND_MS;

export const limits = {
  /** One record's value. Kafka's default `message.max.bytes` is 1,048,588 with overhead; ingest answers 413 above. */
  batchBytesMax: 900_000,
  /** Readings in one batch: 11 h at the default interval. Ingest answers 413 above, a record above is `malformed`. */
  readingsPerBatchMax: 4_096,
  /** Levels of JSON in a record; a batch needs 4. Ingest answers 400 above, a record above is `malformed`. */
  nestingMax: 32,
  /** Lost spans in one batch; ingest answers 400 above, a record above is `malformed`. */
  lostSpansPerBatchMax: 256,
  /** UTF-16 units of a device name; ingest answers 400 above, a record above is `malformed`. */
  deviceNameLengthMax: 128,
  /** Characters of a fault cause or flag. A reading above is `malformed`. */
  wordLengthMax: 32,
  /** Slots of one boot: 3,480 years at 10 s. A reading at or above is `malformed`, so a wild number costs its device only. */
  slotsPerBootMax: 1e10,
  /** DHT22 needs 2 s between reads (datasheet AM2302); a day is the longest that any expectation makes sense for. */
  everyMsMin: 100,
  everyMsMax: DAY_MS,
  /** Aosong AM2302 (DHT22) datasheet, measuring ranges. Outside: quarantined as `out_of_range`. */
  temperatureMilliCMin: -40_000,
  temperatureMilliCMax: 80_000,
  humidityMilliPctMin: 0,
  humidityMilliPctMax: 100_000,
  /** Thousandths are clamped here: far outside every range, and safe in 32 bits. */
  thousandthsMax: 1_000_000_000,
  /** Boots of one device in its ledger: 27 years of daily starts. Valid readings of a further boot are `undecidable`. */
  bootsPerDeviceMax: 10_000,
  /** Spans of seen slots kept for one device, all boots together. A slot that would need one more is `undecidable`. */
  spansPerDeviceMax: 10_000,
  /** Event times before 2015-01-01 are a clock that was never set: `no_time`. */
  eventMsMin: 1_420_070_400_000,
  /** Event times above are no time at all (year 2286): `malformed`. */
  eventMsMax: 9_999_999_999_999,
  /** How far an event time may lie ahead of its append time. Beyond: quarantined as `future`. */
  futureMsMax: 5 * MINUTE_MS,
  /** Readings that may arrive so much out of order are on time. */
  outOfOrderMs: 30 * SECOND_MS,
  /** A window closes so long after its end and its device's last record, in append time. */
  idleMs: 5 * MINUTE_MS,
  /** A device's word that it has older readings pending holds its windows open for at most so long. */
  pendingMsMax: 7 * DAY_MS,
  /** Raw readings are kept so long, in append time. */
  retentionMs: 30 * DAY_MS,
  /** Quarantined readings kept with their raw text, per device and UTC day of append time; more are counted only. */
  quarantinedPerDayMax: 1_000,
  /** Alerts of a partition whose delivery is kept track of, the newest; what older ones still wait for is given up. */
  alertsRememberedMax: 500,
  /** Characters of raw text kept of one quarantined reading; the rest is cut off. */
  quarantinedRawLengthMax: 1_024,
} as const;

assert(limits.futureMsMax <= limits.idleMs, "a window that may still get future readings isn't idle");
