/** A row of the file → a reading as JSON text. Numbers keep the file's own digits; only the aggregator judges them. */
import { deviceNameProblem } from "../core/schema.ts";
import type { CsvRow } from "./csv.ts";
import { parseTimestamp, type TimestampFormat } from "./timestamp.ts";

/** Names of the columns, as in the file's header. Humidity or temperature may be absent, not both. */
export interface ColumnNames {
  readonly device: string;
  readonly ts: string;
  readonly temperature: string | null;
  readonly humidity: string | null;
}

export interface Columns {
  readonly device: number;
  readonly ts: number;
  readonly temperature: number | null;
  readonly humidity: number | null;
}

/** A reading ready to be sent: its line in the file, its device, and `{"ts":…}` as JSON. */
export interface ImportReading {
  readonly line: number;
  readonly device: string;
  readonly json: string;
}

export type RowOutcome =
  | { readonly kind: "reading"; readonly reading: ImportReading }
  /** `column` is the name in the header, null for the row itself. */
  | {
    readonly kind: "rejected";
    readonly line: number;
    readonly column: string | null;
    readonly message: string;
  };

/** Finds the columns, or says which are missing and which there are. */
export function findColumns(
  header: readonly string[],
  names: ColumnNames,
): { readonly kind: "columns"; readonly columns: Columns } | {
  readonly kind: "missing";
  readonly message: string;
} {
  const titles = header.map((title) => title.trim());
  const missing: string[] = [];
  const find = (option: string, name: string): number => {
    const exact = titles.indexOf(name);
    const index = exact >= 0
      ? exact
      : onlyIndex(titles, (title) => title.toLowerCase() === name.toLowerCase());
    if (index < 0) missing.push(`--${option} ${JSON.stringify(name)}`);
    return index;
  };
  const columns: Columns = {
    device: find("device", names.device),
    ts: find("ts", names.ts),
    temperature: names.temperature === null ? null : find("temperature", names.temperature),
    humidity: names.humidity === null ? null : find("humidity", names.humidity),
  };
  if (missing.length === 0) return { kind: "columns", columns };
  const message =
    `the file has no column for ${missing.join(", ")}; its columns are ${
      titles.map((title) => JSON.stringify(title)).join(", ")
    }` + (titles.length === 1 ? " (just one: is --delimiter right?)" : "");
  return { kind: "missing", message };
}

function onlyIndex(titles: readonly string[], matches: (title: string) => boolean): number {
  const found = titles.findIndex(matches);
  return found >= 0 && titles.slice(found + 1).some(matches) ? -1 : found;
}

/** Local times that needed a decision, for the summary. */
export interface LocalTimeCounts {
  twice: number;
  skipped: number;
  firstTwiceLine: number | null;
  firstSkippedLine: number | null;
}

export interface RowReader {
  read(row: CsvRow): RowOutcome;
  readonly localTimes: Readonly<LocalTimeCounts>;
}

/** Devices whose last time is remembered for the hour that happens twice; beyond, the earlier hour is taken. */
const devicesRememberedMax = 100_000;

/**
 * Reads rows in file order. A local time that happened twice is the earlier one, unless that device's last time was at
 * or after it: then it is the later, so that a recording through the night of the change stays in order.
 */
export function createRowReader(
  header: readonly string[],
  columns: Columns,
  format: TimestampFormat,
  zone: string,
): RowReader {
  const localTimes: LocalTimeCounts = { twice: 0, skipped: 0, firstTwiceLine: null, firstSkippedLine: null };
  const lastMs = new Map<string, number>();

  function read(row: CsvRow): RowOutcome {
    const reject = (column: number | null, message: string): RowOutcome => ({
      kind: "rejected",
      line: row.line,
      column: column === null ? null : header[column]?.trim() ?? "",
      message,
    });
    if (row.fields.length !== header.length) {
      return reject(null, `has ${row.fields.length} fields, the header has ${header.length}`);
    }
    const cell = (column: number) => row.fields[column] ?? "";
    const device = cell(columns.device).trim();
    const deviceProblem = device === "" ? "is empty" : deviceNameProblem(device);
    if (deviceProblem !== null) return reject(columns.device, deviceProblem);
    const ms = eventTime(row.line, device, cell(columns.ts));
    if (typeof ms === "string") return reject(columns.ts, `${quote(cell(columns.ts))} ${ms}`);
    const members = [`"ts":${ms}`];
    for (
      const [name, column] of [["temperature_c", columns.temperature], [
        "humidity_pct",
        columns.humidity,
      ]] as const
    ) {
      if (column === null) continue;
      const number = decimalText(cell(column));
      if (number === "absent") continue;
      if (number === null) return reject(column, `${quote(cell(column))} is no decimal number`);
      members.push(`"${name}":${number}`);
    }
    // A row with a time and no value is a slot whose sensor gave none: it is counted as that, not dropped.
    if (members.length === 1) members.push('"error":"no_value"');
    return { kind: "reading", reading: { line: row.line, device, json: `{${members.join(",")}}` } };
  }

  function eventTime(line: number, device: string, cell: string): number | string {
    const parsed = parseTimestamp(cell, format, zone);
    if (parsed.kind === "bad") return parsed.message;
    let ms: number;
    if (parsed.kind === "twice") {
      localTimes.twice++;
      localTimes.firstTwiceLine ??= line;
      ms = (lastMs.get(device) ?? -Infinity) >= parsed.earlierMs ? parsed.laterMs : parsed.earlierMs;
    } else {
      if (parsed.kind === "skipped") {
        localTimes.skipped++;
        localTimes.firstSkippedLine ??= line;
      }
      ms = parsed.ms;
    }
    if (lastMs.size < devicesRememberedMax || lastMs.has(device)) lastMs.set(device, ms);
    return ms;
  }

  return { read, localTimes };
}

const quote = (cell: string) => JSON.stringify(cell.length > 40 ? `${cell.slice(0, 40)}…` : cell);

const ABSENT = /^(nan|na|n\/a|null|none|-)?$/i;
const DECIMAL = /^([+-]?)(\d*)[.,]?(\d*)([eE][+-]?\d{1,3})?$/;

/** The cell's number in JSON's notation, digit for digit; null when it is none. A decimal comma becomes a point. */
export function decimalText(cell: string): string | "absent" | null {
  const text = cell.trim();
  if (ABSENT.test(text)) return "absent";
  const match = DECIMAL.exec(text);
  const [, sign, whole = "", fraction = "", exponent = ""] = match ?? [];
  if (match === null || (whole === "" && fraction === "")) return null;
  const integer = whole.replace(/^0+(?=\d)/, "") || "0";
  return `${sign === "-" ? "-" : ""}${integer}${fraction === "" ? "" : `.${fraction}`}${exponent}`;
}
