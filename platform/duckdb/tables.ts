/** The base tables of `core/tables.sql` as columns of the rows of `core/rows.ts`, and the text of the two halves. */
import tables from "../../core/tables.sql" with { type: "text" };
import type {
  AlertRow,
  AlertRuleRow,
  AlertStateRow,
  BootRow,
  ChannelRow,
  ClosedBy,
  DeviceRow,
  GapRow,
  PositionRow,
  QuarantineReason,
  QuarantineRow,
  ReadingRow,
  ReleaseRow,
  WindowRow,
} from "../../core/rows.ts";
import { assert } from "../../core/assert.ts";
import type { PublishedConfig } from "../../core/manifest.ts";
import type { Cell, Kind } from "./column_buffer.ts";
import type { Column } from "./columns.ts";
import type { Segment } from "./segments.ts";

const halves = tables.split("\n-- views\n");
assert(halves.length === 2, "tables.sql has one line that says -- views");

/** Statements that make the base tables. */
export const baseTablesSql = halves[0]!;
/** The one of them that makes this table. */
export function tableSql({ name }: TableShape): string {
  const found = new RegExp(`CREATE TABLE ${name} \\([^;]*\\)(?=;)`).exec(baseTablesSql);
  assert(found !== null, `tables.sql makes ${name}`);
  return found[0];
}
/** Statements that make the documented views over the base tables, with their comments. */
export const viewsSql = halves[1]!;

/** A base table: what it is called and what its columns hold (`version`, its first, is not among them). */
export interface TableShape {
  readonly name: string;
  readonly columns: readonly { readonly name: string; readonly kind: Kind }[];
  /** Column that tells the time of a row, for pruning: event time, or a window's start. */
  readonly timeColumn: string | null;
  /** Columns whose newest version is the only one that counts; null where every row counts. */
  readonly newestBy: readonly string[] | null;
}

/** A base table whose rows are `Row`s. */
export interface Table<Row> extends TableShape {
  readonly columns: readonly Column<Row>[];
  /** Makes a row of the cells of `columns`, in their order. */
  readonly make: (cells: readonly (readonly Cell[])[], index: number) => Row;
}

function column<Row>(name: string, kind: Kind, get: (row: Row) => Cell): Column<Row> {
  return { name, kind, get };
}

export const readingTable: Table<ReadingRow> = {
  name: "reading_rows",
  timeColumn: "ts",
  newestBy: null,
  columns: [
    column("device", "text", (row) => row.device),
    column("boot", "int64", (row) => row.boot),
    column("seq", "int64", (row) => row.seq),
    column("ts", "time", (row) => row.tsMs),
    column("append_time", "time", (row) => row.appendMs),
    column("log_offset", "int64", (row) => row.offset),
    column("log_index", "int32", (row) => row.index),
    column("temperature_milli_c", "int32", (row) => row.temperatureMilliC),
    column("humidity_milli_pct", "int32", (row) => row.humidityMilliPct),
    column("fault", "text", (row) => row.fault),
    column("flag", "text", (row) => row.flag),
    column("late", "boolean", (row) => row.late),
    column("time_uncertain", "boolean", (row) => row.timeUncertain),
    column("released", "boolean", (row) => row.released),
    column("every_ms", "int64", (row) => row.everyMs),
  ],
  make: (cells, index) => ({
    device: cells[0]![index] as string,
    boot: cells[1]![index] as number | null,
    seq: cells[2]![index] as number | null,
    tsMs: cells[3]![index] as number,
    appendMs: cells[4]![index] as number,
    offset: cells[5]![index] as number,
    index: cells[6]![index] as number,
    temperatureMilliC: cells[7]![index] as number | null,
    humidityMilliPct: cells[8]![index] as number | null,
    fault: cells[9]![index] as string | null,
    flag: cells[10]![index] as string | null,
    late: cells[11]![index] as boolean,
    timeUncertain: cells[12]![index] as boolean,
    released: cells[13]![index] as boolean,
    everyMs: cells[14]![index] as number | null,
  }),
};

export const quarantineTable: Table<QuarantineRow> = {
  name: "quarantine_rows",
  timeColumn: "ts",
  newestBy: null,
  columns: [
    column("device", "text", (row) => row.device),
    column("boot", "int64", (row) => row.boot),
    column("seq", "int64", (row) => row.seq),
    column("ts", "time", (row) => row.tsMs),
    column("append_time", "time", (row) => row.appendMs),
    column("log_offset", "int64", (row) => row.offset),
    column("log_index", "int32", (row) => row.index),
    column("reason", "text", (row) => row.reason),
    column("detail", "text", (row) => row.detail),
    column("raw", "text", (row) => row.raw),
  ],
  make: (cells, index) => ({
    device: cells[0]![index] as string | null,
    boot: cells[1]![index] as number | null,
    seq: cells[2]![index] as number | null,
    tsMs: cells[3]![index] as number | null,
    appendMs: cells[4]![index] as number,
    offset: cells[5]![index] as number,
    index: cells[6]![index] as number,
    reason: cells[7]![index] as QuarantineReason,
    detail: cells[8]![index] as string,
    raw: cells[9]![index] as string,
  }),
};

export const releaseTable: Table<ReleaseRow> = {
  name: "release_rows",
  timeColumn: null,
  newestBy: null,
  columns: [
    column("device", "text", (row) => row.device),
    column("log_offset", "int64", (row) => row.offset),
    column("log_index", "int32", (row) => row.index),
    column("released_by_offset", "int64", (row) => row.byOffset),
  ],
  make: (cells, index) => ({
    device: cells[0]![index] as string,
    offset: cells[1]![index] as number,
    index: cells[2]![index] as number,
    byOffset: cells[3]![index] as number,
  }),
};

export const gapTable: Table<GapRow> = {
  name: "gap_rows",
  timeColumn: null,
  newestBy: null,
  columns: [
    column("log_partition", "int32", (row) => row.partition),
    column("from_offset", "int64", (row) => row.fromOffset),
    column("to_offset", "int64", (row) => row.toOffset),
    column("append_time", "time", (row) => row.appendMs),
  ],
  make: (cells, index) => ({
    partition: cells[0]![index] as number,
    fromOffset: cells[1]![index] as number,
    toOffset: cells[2]![index] as number,
    appendMs: cells[3]![index] as number,
  }),
};

function channelColumns(name: string, channel: (row: WindowRow) => ChannelRow): Column<WindowRow>[] {
  return [
    column(`${name}_count`, "int64", (row) => channel(row).count),
    column(`${name}_sum`, "int64", (row) => channel(row).sum),
    column(`${name}_sum_squares`, "decimal", (row) => channel(row).sumSquares),
    column(`${name}_min`, "int32", (row) => channel(row).min),
    column(`${name}_max`, "int32", (row) => channel(row).max),
    column(`${name}_first`, "int32", (row) => channel(row).first),
    column(`${name}_last`, "int32", (row) => channel(row).last),
    column(`${name}_first_key`, "text", (row) => channel(row).firstKey),
    column(`${name}_last_key`, "text", (row) => channel(row).lastKey),
    column(`${name}_p50`, "int32", (row) => channel(row).p50),
    column(`${name}_p95`, "int32", (row) => channel(row).p95),
  ];
}

function makeChannel(cells: readonly (readonly Cell[])[], index: number, from: number): ChannelRow {
  return {
    count: cells[from]![index] as number,
    sum: cells[from + 1]![index] as number,
    sumSquares: cells[from + 2]![index] as bigint,
    min: cells[from + 3]![index] as number | null,
    max: cells[from + 4]![index] as number | null,
    first: cells[from + 5]![index] as number | null,
    last: cells[from + 6]![index] as number | null,
    firstKey: cells[from + 7]![index] as string | null,
    lastKey: cells[from + 8]![index] as string | null,
    p50: cells[from + 9]![index] as number | null,
    p95: cells[from + 10]![index] as number | null,
  };
}

export const windowTable: Table<WindowRow> = {
  name: "window_rows",
  timeColumn: "window_start",
  newestBy: null,
  columns: [
    column("device", "text", (row) => row.device),
    column("window_size", "text", (row) => row.windowSize),
    column("window_start", "time", (row) => row.startMs),
    column("window_end", "time", (row) => row.endMs),
    column("readings", "int64", (row) => row.readings),
    column("sensor_faults", "int64", (row) => row.sensorFaults),
    column("late", "int64", (row) => row.late),
    column("time_uncertain", "int64", (row) => row.timeUncertain),
    column("every_ms", "int64", (row) => row.everyMs),
    column("oldest_append_time", "time", (row) => row.oldestAppendMs),
    ...channelColumns("temperature", (row) => row.temperature),
    ...channelColumns("humidity", (row) => row.humidity),
    column("closed_by", "text", (row) => row.closedBy),
    column("revision", "int64", (row) => row.revision),
    column("replaces", "int64", (row) => row.replaces),
    column("changed_append_time", "time", (row) => row.changedAppendMs),
    column("changed_offset", "int64", (row) => row.changedOffset),
  ],
  make: (cells, index) => ({
    device: cells[0]![index] as string,
    windowSize: cells[1]![index] as string,
    startMs: cells[2]![index] as number,
    endMs: cells[3]![index] as number,
    readings: cells[4]![index] as number,
    sensorFaults: cells[5]![index] as number,
    late: cells[6]![index] as number,
    timeUncertain: cells[7]![index] as number,
    everyMs: cells[8]![index] as number | null,
    oldestAppendMs: cells[9]![index] as number,
    temperature: makeChannel(cells, index, 10),
    humidity: makeChannel(cells, index, 21),
    closedBy: cells[32]![index] as ClosedBy | null,
    revision: cells[33]![index] as number,
    replaces: cells[34]![index] as number | null,
    changedAppendMs: cells[35]![index] as number | null,
    changedOffset: cells[36]![index] as number | null,
  }),
};

export const openWindowTable: Table<WindowRow> = { ...windowTable, name: "open_window_rows" };

export const deviceTable: Table<DeviceRow> = {
  name: "device_rows",
  timeColumn: null,
  newestBy: ["device"],
  columns: [
    column("device", "text", (row) => row.device),
    column("first_append_time", "time", (row) => row.firstAppendMs),
    column("last_append_time", "time", (row) => row.lastAppendMs),
    column("last_offset", "int64", (row) => row.lastOffset),
    column("highest_event_time", "time", (row) => row.highestEventMs),
    column("pending_since", "time", (row) => row.pendingSinceMs),
    column("watermark", "time", (row) => row.watermarkMs),
    column("every_ms", "int64", (row) => row.everyMs),
    column("current_boot", "int64", (row) => row.currentBoot),
    column("display_name", "text", (row) => row.displayName),
    column("retired", "boolean", (row) => row.retired),
    column("shared_name", "boolean", (row) => row.sharedName),
    column("counted", "int64", (row) => row.counted),
    column("counted_late", "int64", (row) => row.countedLate),
    column("sensor_fault", "int64", (row) => row.sensorFault),
    column("quarantined", "int64", (row) => row.quarantined),
    column("duplicates", "int64", (row) => row.duplicates),
    column("released", "int64", (row) => row.released),
    column("unsequenced_highest", "time", (row) => row.unsequencedHighestMs),
    column("unsequenced_expired", "time", (row) => row.unsequencedExpiredMs),
    column("unsequenced_days", "text", (row) => row.unsequencedDays),
    column("quarantine_day", "int64", (row) => row.quarantineDay),
    column("quarantined_today", "int64", (row) => row.quarantinedToday),
  ],
  make: (cells, index) => ({
    device: cells[0]![index] as string,
    firstAppendMs: cells[1]![index] as number,
    lastAppendMs: cells[2]![index] as number,
    lastOffset: cells[3]![index] as number,
    highestEventMs: cells[4]![index] as number | null,
    pendingSinceMs: cells[5]![index] as number | null,
    watermarkMs: cells[6]![index] as number | null,
    everyMs: cells[7]![index] as number | null,
    currentBoot: cells[8]![index] as number | null,
    displayName: cells[9]![index] as string | null,
    retired: cells[10]![index] as boolean,
    sharedName: cells[11]![index] as boolean,
    counted: cells[12]![index] as number,
    countedLate: cells[13]![index] as number,
    sensorFault: cells[14]![index] as number,
    quarantined: cells[15]![index] as number,
    duplicates: cells[16]![index] as number,
    released: cells[17]![index] as number,
    unsequencedHighestMs: cells[18]![index] as number | null,
    unsequencedExpiredMs: cells[19]![index] as number | null,
    unsequencedDays: cells[20]![index] as string,
    quarantineDay: cells[21]![index] as number,
    quarantinedToday: cells[22]![index] as number,
  }),
};

export const bootTable: Table<BootRow> = {
  name: "boot_rows",
  timeColumn: null,
  newestBy: ["device", "boot"],
  columns: [
    column("device", "text", (row) => row.device),
    column("boot", "int64", (row) => row.boot),
    column("first_append_time", "time", (row) => row.firstAppendMs),
    column("heard", "boolean", (row) => row.heard),
    column("first_event_time", "time", (row) => row.firstEventMs),
    column("last_event_time", "time", (row) => row.lastEventMs),
    column("slots", "int64", (row) => row.slots),
    column("counted", "int64", (row) => row.counted),
    column("counted_late", "int64", (row) => row.countedLate),
    column("sensor_fault", "int64", (row) => row.sensorFault),
    column("quarantined", "int64", (row) => row.quarantined),
    column("lost", "int64", (row) => row.lost),
    column("spans", "text", (row) => row.spans),
  ],
  make: (cells, index) => ({
    device: cells[0]![index] as string,
    boot: cells[1]![index] as number,
    firstAppendMs: cells[2]![index] as number,
    heard: cells[3]![index] as boolean,
    firstEventMs: cells[4]![index] as number | null,
    lastEventMs: cells[5]![index] as number | null,
    slots: cells[6]![index] as number,
    counted: cells[7]![index] as number,
    countedLate: cells[8]![index] as number,
    sensorFault: cells[9]![index] as number,
    quarantined: cells[10]![index] as number,
    lost: cells[11]![index] as number,
    spans: cells[12]![index] as string,
  }),
};

export const positionTable: Table<PositionRow> = {
  name: "position_rows",
  timeColumn: null,
  newestBy: ["log_partition"],
  columns: [
    column("log_partition", "int32", (row) => row.partition),
    column("next_offset", "int64", (row) => row.nextOffset),
    column("append_high", "time", (row) => row.appendHighMs),
    column("epoch", "int64", (row) => row.epoch),
    column("last_offset", "int64", (row) => row.lastOffset),
    column("last_hash", "text", (row) => row.lastHash),
    column("config_hash", "text", (row) => row.configHash),
  ],
  make: (cells, index) => ({
    partition: cells[0]![index] as number,
    nextOffset: cells[1]![index] as number,
    appendHighMs: cells[2]![index] as number,
    epoch: cells[3]![index] as number,
    lastOffset: cells[4]![index] as number | null,
    lastHash: cells[5]![index] as string | null,
    configHash: cells[6]![index] as string,
  }),
};

export const alertTable: Table<AlertRow> = {
  name: "alert_rows",
  timeColumn: "alert_time",
  newestBy: null,
  columns: [
    column("log_partition", "int32", (row) => row.partition),
    column("log_offset", "int64", (row) => row.offset),
    column("log_index", "int32", (row) => row.index),
    column("decided_at", "time", (row) => row.appendMs),
    column("kind", "text", (row) => row.kind),
    column("rule", "text", (row) => row.rule),
    column("device", "text", (row) => row.device),
    column("alert_time", "time", (row) => row.atMs),
    column("value_milli", "int64", (row) => row.valueMilli),
    column("sentence", "text", (row) => row.sentence),
    column("window_size", "text", (row) => row.windowSize),
    column("window_start", "time", (row) => row.startMs),
    column("previous_window_start", "time", (row) => row.previousStartMs),
    column("past", "boolean", (row) => row.isPast),
  ],
  make: (cells, index) => ({
    partition: cells[0]![index] as number,
    offset: cells[1]![index] as number,
    index: cells[2]![index] as number,
    appendMs: cells[3]![index] as number,
    kind: cells[4]![index] as "fired" | "cleared",
    rule: cells[5]![index] as string,
    device: cells[6]![index] as string,
    atMs: cells[7]![index] as number,
    valueMilli: cells[8]![index] as number | null,
    sentence: cells[9]![index] as string,
    windowSize: cells[10]![index] as string | null,
    startMs: cells[11]![index] as number | null,
    previousStartMs: cells[12]![index] as number | null,
    isPast: cells[13]![index] as boolean,
  }),
};

export const alertRuleTable: Table<AlertRuleRow> = {
  name: "alert_rule_rows",
  timeColumn: null,
  newestBy: ["log_partition", "name"],
  columns: [
    column("log_partition", "int32", (row) => row.partition),
    column("name", "text", (row) => row.name),
    column("position", "int32", (row) => row.position),
    column("definition", "text", (row) => row.definition),
    column("since", "time", (row) => row.sinceMs),
  ],
  make: (cells, index) => ({
    partition: cells[0]![index] as number,
    name: cells[1]![index] as string,
    position: cells[2]![index] as number,
    definition: cells[3]![index] as string | null,
    sinceMs: cells[4]![index] as number,
  }),
};

export const alertStateTable: Table<AlertStateRow> = {
  name: "alert_state_rows",
  timeColumn: null,
  newestBy: ["device"],
  columns: [
    column("device", "text", (row) => row.device),
    column("state", "text", (row) => row.state),
  ],
  make: (cells, index) => ({
    device: cells[0]![index] as string,
    state: cells[1]![index] as string,
  }),
};

/** Segments of transactions that are not published yet, see `sealer.ts`; only a live file has them. */
export const sealedTable: Table<Segment> = {
  name: "sealed_rows",
  timeColumn: null,
  newestBy: null,
  columns: [column("segment", "text", (segment) => JSON.stringify(segment))],
  make: (cells, index) => JSON.parse(cells[0]![index] as string) as Segment,
};

/** Small transactions that are not in their tables yet, see `journal.ts`; only a live file has them. */
export const journalTable: TableShape = {
  name: "journal_rows",
  timeColumn: null,
  newestBy: null,
  columns: [{ name: "changes", kind: "text" }],
};

/** The configuration of the rows; only a catalogue has one. */
export const configTable: TableShape = {
  name: "config_rows",
  timeColumn: null,
  newestBy: null,
  columns: [
    { name: "config_hash", kind: "text" },
    { name: "windows", kind: "text" },
    { name: "out_of_order_ms", kind: "int64" },
    { name: "idle_ms", kind: "int64" },
    { name: "future_ms", kind: "int64" },
    { name: "pending_ms", kind: "int64" },
    { name: "retention_ms", kind: "int64" },
  ],
};

/** SQL for the one row of {@link configTable} that tells a configuration. */
export function configSelect(version: number, config: PublishedConfig): string {
  const { hash, windows, outOfOrderMs, idleMs, futureMs, pendingMs, retentionMs } = config;
  const cells = [
    `'${hash}'`,
    `'${windows.join(",")}'`,
    outOfOrderMs,
    idleMs,
    futureMs,
    pendingMs,
    retentionMs,
  ];
  const columns = configTable.columns.map(({ name, kind }, at) =>
    `${cells[at]}::${sqlTypes[kind]} AS ${name}`
  );
  return `SELECT ${version}::BIGINT AS version, ${columns.join(", ")}`;
}

/** Column names of a table's own columns, for a SELECT that `readRows` can take. */
export function selectList(table: TableShape): string {
  return table.columns.map((column) => column.name).join(", ");
}

/** Kinds of a table's own columns, in the order of {@link selectList}. */
export function kindsOf(table: TableShape): readonly Kind[] {
  return table.columns.map((column) => column.kind);
}

/** SQL for the rows of `source` in their newest version by `keys`; the rows have `version` and the keys among them. */
export function newestOf(source: string, keys: readonly string[]): string {
  const list = keys.join(", ");
  return `(FROM (${source}) SEMI JOIN (SELECT ${list}, max(version) AS version FROM (${source}) GROUP BY ${list})
    USING (${list}, version))`;
}

/** Tables whose new rows are published in segments, in the order of a publication. */
export const segmentTables: readonly TableShape[] = [
  readingTable,
  quarantineTable,
  releaseTable,
  gapTable,
  windowTable,
  deviceTable,
  bootTable,
  alertTable,
  alertRuleTable,
  alertStateTable,
];

/** All base tables that a catalogue shows. */
export const baseTables: readonly TableShape[] = [
  ...segmentTables,
  openWindowTable,
  positionTable,
  configTable,
];

/** All tables of a live file. */
export const liveTables: readonly TableShape[] = [...baseTables, sealedTable, journalTable];

/** The SQL type of each kind. */
export const sqlTypes: Readonly<Record<Kind, string>> = {
  int64: "BIGINT",
  int32: "INTEGER",
  boolean: "BOOLEAN",
  text: "VARCHAR",
  time: "TIMESTAMP",
  decimal: "DECIMAL(38,0)",
};
