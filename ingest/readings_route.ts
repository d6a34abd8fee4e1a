/** `POST /v1/readings`: batches as JSON or NDJSON. */
import type { Refusal } from "./answers.ts";
import { secretOf } from "./authority.ts";
import { formatOf, parseBody } from "./formats.ts";
import type { Incoming } from "./incoming.ts";
import type { Intake, Taken } from "./intake.ts";
import type { IngestLimits } from "./limits.ts";
import type { Flagged } from "./parcel.ts";

/** What a 202 says. */
export interface Accepted {
  /** Readings that are in the log now. */
  readonly accepted: number;
  /** Readings that won't be counted as they are; `index` counts the readings of the whole request from 0. */
  readonly flagged: readonly Flagged[];
  /** Flagged readings beyond the bound of the list. */
  readonly flagged_more?: number;
  /** The server's wall clock in Unix ms; sets the clock of a device without NTP. */
  readonly now: number;
  /** Readings that the next request may carry; at least 1. */
  readonly credit: number;
}

export async function takeReadings(
  request: Incoming,
  intake: Intake,
  limits: IngestLimits,
  nowMs: () => number,
): Promise<{ readonly kind: "accepted"; readonly answer: Accepted } | Refusal> {
  const admitted = intake.admit(request, secretOf(request));
  if (admitted.kind === "refused") return admitted;
  const format = formatOf(request.header("content-type"));
  if (format.kind === "refused") return format;
  const body = await intake.body(
    request,
    format.format === "json" ? limits.jsonBytesMax : limits.ndjsonBytesMax,
  );
  if (body.kind === "refused") return body;
  try {
    const parsed = parseBody(format.format, body.bytes, limits);
    if (parsed.kind === "refused") return parsed;
    const taken = await intake.append(admitted.grant, parsed.parcels, body.bytes.length);
    return taken.kind === "refused" ? taken : { kind: "accepted", answer: accepted(taken, limits, nowMs()) };
  } finally {
    body.release();
  }
}

function accepted({ readings, flagged, credit }: Taken, limits: IngestLimits, nowMs: number): Accepted {
  const more = flagged.length - limits.flaggedListedMax;
  return {
    accepted: readings,
    flagged: more > 0 ? flagged.slice(0, limits.flaggedListedMax) : flagged,
    ...(more > 0 ? { flagged_more: more } : {}),
    now: nowMs,
    credit,
  };
}
