/**
 * `deno task quarantine` and `deno task devices`: what a command line asks for. Listing reads the published files; what
 * changes something becomes a record of the log through ingest, so that a replay does the same. Pure.
 */
import { parseArgs } from "node:util";
import { parseJson } from "../../core/schema.ts";

/** A request to ingest. */
export interface ControlRequest {
  /** Path under ingest's address. */
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
}

export type Command =
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "problem"; readonly sentence: string }
  | { readonly kind: "list"; readonly sql: string; readonly data: string }
  | { readonly kind: "send"; readonly request: ControlRequest; readonly url: string; readonly done: string }
  /** The quarantined reading has to be looked up first, see {@link releaseRequest}. */
  | {
    readonly kind: "release";
    readonly place: Place;
    readonly changes: Changes;
    readonly data: string;
    readonly url: string;
  };

export interface Place {
  readonly device: string;
  readonly offset: number;
  readonly index: number;
}

/** What is corrected before a reading is counted; undefined leaves it as it came. */
export interface Changes {
  readonly ts?: number;
  readonly temperature_c?: number;
  readonly humidity_pct?: number;
}

const quarantineHelp = `Readings that were not counted, and how to count them after all.

  deno task quarantine list [--device NAME] [--reason WORD]
  deno task quarantine release DEVICE OFFSET[:INDEX] [--ts MS] [--temperature C] [--humidity PCT]

list shows those that are still held, newest first, with their place in the log. release appends a record that counts
the reading, corrected as given. Doing it twice counts it once.`;

const devicesHelp = `Devices, and what is said of them through the log.

  deno task devices list
  deno task devices retire DEVICE      no readings are expected from it any more; a new reading takes that back
  deno task devices rename DEVICE NAME gives it a name for people; its rows keep the device's own

Doing any of it twice changes nothing.`;

const commonHelp = `

  --data DIR   the data folder that is listed (default data)
  --url URL    of ingest (default http://127.0.0.1:8086); its key, if it needs one, is in ISOTHERM_KEY`;

const QUOTED = (text: string) => `'${text.replaceAll("'", "''")}'`;

export function parseCommand(topic: "quarantine" | "devices", args: readonly string[]): Command {
  const help = (topic === "quarantine" ? quarantineHelp : devicesHelp) + commonHelp;
  const text = { type: "string" } as const;
  let parsed;
  try {
    parsed = parseArgs({
      args: [...args],
      options: {
        data: text,
        url: text,
        device: text,
        reason: text,
        ts: text,
        temperature: text,
        humidity: text,
        help: { type: "boolean", short: "h" },
      },
      allowPositionals: true,
    });
  } catch (error) {
    return { kind: "problem", sentence: (error as Error).message };
  }
  const { values, positionals: [action, device, third, ...more] } = parsed;
  if (values.help === true || action === undefined) return { kind: "help", text: help };
  if (more.length > 0) return { kind: "problem", sentence: `${JSON.stringify(more[0])} is too much` };
  const { data = "data", url = "http://127.0.0.1:8086" } = values;
  if (action === "list") {
    const sql = topic === "devices" ? devicesSql : quarantineSql(values.device, values.reason);
    return { kind: "list", sql, data };
  }
  if (device === undefined) return { kind: "problem", sentence: `${action} needs a device` };
  const path = `/v1/devices/${encodeURIComponent(device)}`;
  if (topic === "devices" && action === "retire") {
    return { kind: "send", url, request: { path, body: { action } }, done: `${device} is retired` };
  }
  if (topic === "devices" && action === "rename") {
    if (third === undefined) return { kind: "problem", sentence: "rename needs a new name" };
    const done = `${device} is called ${third} now`;
    return { kind: "send", url, request: { path, body: { action, name: third } }, done };
  }
  if (topic === "quarantine" && action === "release") {
    const match = /^(\d{1,15})(?::(\d{1,4}))?$/.exec(third ?? "");
    if (match === null) {
      return { kind: "problem", sentence: "release needs the place that list shows: OFFSET or OFFSET:INDEX" };
    }
    const changes = changesOf(values);
    if (typeof changes === "string") return { kind: "problem", sentence: changes };
    const place = { device, offset: Number(match[1]), index: Number(match[2] ?? 0) };
    return { kind: "release", place, changes, data, url };
  }
  return {
    kind: "problem",
    sentence: `${JSON.stringify(action)} is nothing that can be done here; see --help`,
  };
}

function changesOf(
  values: { readonly ts?: string; readonly temperature?: string; readonly humidity?: string },
): Changes | string {
  const changes: { ts?: number; temperature_c?: number; humidity_pct?: number } = {};
  for (
    const [option, field] of [["ts", "ts"], ["temperature", "temperature_c"], [
      "humidity",
      "humidity_pct",
    ]] as const
  ) {
    const given = values[option];
    if (given === undefined) continue;
    const number = Number(given);
    if (given.trim() === "" || !Number.isFinite(number)) {
      return `--${option} ${JSON.stringify(given)} is no number`;
    }
    changes[field] = number;
  }
  return changes;
}

const devicesSql =
  `SELECT device, display_name, retired, shared_name, every_ms, last_heard, watermark, readings, quarantined
  FROM devices WHERE device <> '' ORDER BY device`;

function quarantineSql(device: string | undefined, reason: string | undefined): string {
  const wheres = ["released_by_offset IS NULL"];
  if (device !== undefined) wheres.push(`device = ${QUOTED(device)}`);
  if (reason !== undefined) wheres.push(`reason = ${QUOTED(reason)}`);
  return `SELECT device, reason, log_offset || ':' || log_index AS place, ts, detail, raw FROM quarantine
  WHERE ${wheres.join(" AND ")} ORDER BY append_time DESC, log_offset DESC, log_index`;
}

/** SQL that finds the quarantined reading: columns boot, raw, released_by_offset. */
export function placeSql({ device, offset, index }: Place): string {
  return `SELECT boot, raw, released_by_offset FROM quarantine
  WHERE device = ${QUOTED(device)} AND log_offset = ${offset} AND log_index = ${index}`;
}

/** Fields of a reading that are counted. */
const FIELDS = ["seq", "ts", "temperature_c", "humidity_pct", "error", "flag"] as const;

/** The record that counts it, or why there is none. */
export function releaseRequest(
  place: Place,
  row: { readonly boot: number | null; readonly raw: string },
  changes: Changes,
): ControlRequest | string {
  let raw: unknown;
  try {
    raw = parseJson(row.raw);
  } catch {
    return "what came can't be read as a reading (or was cut off), so there is nothing to count";
  }
  if (typeof raw !== "object" || raw === null) return "what came is no reading, so there is nothing to count";
  const given = raw as Readonly<Record<string, unknown>>;
  const reading: Record<string, unknown> = {};
  for (const field of FIELDS) {
    if (given[field] !== undefined && given[field] !== null) reading[field] = given[field];
  }
  Object.assign(reading, changes);
  const { device, offset, index } = place;
  return { path: "/v1/releases", body: { device, offset, index, boot: row.boot, reading } };
}
