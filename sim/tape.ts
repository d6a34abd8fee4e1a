/**
 * Tapes: recorded logs in one file, with everything that makes rows of them again, and the digest that must come out.
 *
 * A tape is gzip of JSON lines (RFC 1952 around UTF-8): first a head, then a line for each record in the order in which
 * they were appended over all partitions.
 *
 * ```json
 * {"isotherm_tape":1,"name":"clean_day","partitions":2,"config":{…},"digest":"…","closed":288,"source":"sim seed 3"}
 * [0,17,1763950000123,"board-1","{\"device\":…}",{"isotherm":"1"}]
 * ```
 * A record is [partition, offset, append time in Unix ms, key or null, value, headers]; the value is text where it is
 * UTF-8, null where there is none, and {"base64":"…"} else.
 */
import type { JudgeConfig } from "../core/config.ts";
import { digestText } from "../core/digest.ts";
import type { LogRecord } from "../core/ports/log.ts";
import type { WindowRow } from "../core/rows.ts";
import { foldLog } from "./fold_run.ts";

export interface Tape {
  readonly name: string;
  readonly partitions: number;
  readonly config: JudgeConfig;
  /** SHA-256 of the digest's text over all partitions, at the end of the tape. */
  readonly digest: string;
  /** Closed windows then. */
  readonly closed: number;
  /** Where it comes from, for people. */
  readonly source: string;
  readonly records: readonly LogRecord[];
}

const FORMAT = 1;
const encoder = new TextEncoder();

/** Bytes of a tape; the same tape, the same bytes. */
export async function writeTape(tape: Tape): Promise<Uint8Array> {
  const { records, ...head } = tape;
  const lines = [JSON.stringify({ isotherm_tape: FORMAT, ...head }), ...records.map(recordLine)];
  return await through(encoder.encode(lines.join("\n") + "\n"), new CompressionStream("gzip"));
}

/** The tape in these bytes; throws with what is wrong. */
export async function readTape(bytes: Uint8Array): Promise<Tape> {
  let lines: string[];
  try {
    const text = new TextDecoder().decode(await through(bytes, new DecompressionStream("gzip")));
    lines = text.split("\n").filter((line) => line !== "");
  } catch (error) {
    throw new Error(`this is no tape: it is not gzip (${(error as Error).message})`);
  }
  const { isotherm_tape: format, ...head } = JSON.parse(lines[0] ?? "{}");
  if (format !== FORMAT) {
    throw new Error(`the tape has version ${format}, this build reads ${FORMAT}: use a newer build`);
  }
  return { ...head, records: lines.slice(1).map(recordOf) };
}

function recordLine({ partition, offset, appendMs, key, value, headers }: LogRecord): string {
  return JSON.stringify([partition, offset, appendMs, key, valueOut(value), headers]);
}

function valueOut(value: Uint8Array | null): unknown {
  if (value === null) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(value);
  } catch {
    return { base64: value.toBase64() };
  }
}

function recordOf(line: string): LogRecord {
  const [partition, offset, appendMs, key, out, headers] = JSON.parse(line);
  const value = out === null
    ? null
    : typeof out === "string"
    ? encoder.encode(out)
    : Uint8Array.fromBase64(out.base64);
  return { partition, offset, appendMs, key, value, headers };
}

async function through(
  bytes: Uint8Array,
  stream: CompressionStream | DecompressionStream,
): Promise<Uint8Array> {
  const piped = new Blob([bytes as BlobPart]).stream().pipeThrough(stream);
  return new Uint8Array(await new Response(piped).arrayBuffer());
}

export interface MakeTape {
  readonly name: string;
  readonly partitions: number;
  readonly config: JudgeConfig;
  readonly source: string;
  readonly records: readonly LogRecord[];
}

/** A tape of records, with the digest that the production fold gives. */
export async function makeTape(given: MakeTape): Promise<Tape> {
  const rows = closedRows(given);
  return { ...given, digest: await digestOfRows(rows), closed: rows.length };
}

/** Newest versions of all closed windows at the end of a log, by the production fold alone. */
export function closedRows(log: Pick<MakeTape, "records" | "config" | "partitions">): WindowRow[] {
  return foldLog(log, { batchRecords: 1_000 }).flatMap(({ rows }) => [...rows.windows.values()]);
}

/** Lower-case hex. */
export async function digestOfRows(rows: Iterable<WindowRow>): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", encoder.encode(digestText(rows)));
  return new Uint8Array(hash).toHex();
}
