/**
 * A scenario: everything that a run depends on, as data. A seed draws one; a failing one is shrunk and kept as JSON, so it
 * does not rot when unrelated code draws one more random number.
 *
 * Faults are *incidents*: each happens at a stated time, to a stated part, so many times or for so long. Nothing about an
 * incident is left to chance during the run but sizes (by a source of its own), so that one can be taken out and the
 * others stay.
 */
import { defaultConfig, type JudgeConfig, type WindowSpec } from "../core/config.ts";
import { below, chance, type Random } from "../core/ports/random.ts";
import type { ModelBoardSpec } from "./model_board.ts";
import { pick, seededRandom } from "./random.ts";
import { drawRules, type RulesFile } from "./rules.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** What an incident needs besides its time: `board`, `worker` or `ingest` by number, `count` times, `forMs` long. */
export const incidentKinds = {
  // The network between boards and ingest.
  request_lost: ["board", "count"],
  answer_lost: ["board", "count"],
  request_delayed: ["board", "count", "forMs"],
  request_doubled: ["board", "count", "forMs"],
  half_open: ["board", "count"],
  wifi_down: ["board", "forMs"],
  dns_down: ["forMs"],
  // Boards.
  power_cut: ["board", "forMs"],
  brown_out: ["board", "count"],
  torn_flash_write: ["board"],
  flash_erased: ["board"],
  sensor_silent: ["board", "forMs"],
  sensor_checksum: ["board", "forMs"],
  sensor_stuck: ["board", "forMs"],
  sensor_out_of_range: ["board", "forMs"],
  // Ingest.
  ingest_crash: ["ingest", "forMs"],
  hostile_sender: ["count"],
  // The log.
  log_down: ["forMs"],
  log_refused: ["forMs"],
  log_cut_off: ["forMs"],
  log_unanswered: ["forMs"],
  log_doubled: ["forMs"],
  log_slow: ["forMs"],
  log_slow_answer: ["forMs"],
  log_clock_step: ["forMs"],
  log_read_refused: ["forMs"],
  log_short_read: ["forMs"],
  rebalance: ["count"],
  zombie: [],
  foreign_records: ["count"],
  // The receiver of alerts.
  webhook_down: ["forMs"],
  // The aggregator.
  aggregator_crash_before_call: ["worker", "count", "forMs"],
  aggregator_crash_after_call: ["worker", "count", "forMs"],
  aggregator_restart: ["worker", "forMs"],
  disk_full: ["worker", "count"],
  fsync_error: ["worker", "count"],
  disk_read_error: ["worker", "count"],
  live_file_truncated: ["worker", "forMs"],
  wal_truncated: ["worker", "forMs"],
  duckdb_error: ["worker", "count"],
  duckdb_given_up: ["worker", "count"],
  file_error: ["worker", "count"],
  crash_while_publishing: ["worker", "count", "forMs"],
} as const satisfies Record<string, readonly ("board" | "worker" | "ingest" | "count" | "forMs")[]>;

export type IncidentKind = keyof typeof incidentKinds;

/** Kinds that happen on real files only, drawn apart: a seed's other incidents are the same with and without files. */
const filesOnly: readonly IncidentKind[] = [
  "duckdb_error",
  "duckdb_given_up",
  "file_error",
  "crash_while_publishing",
];
/** Drawn apart as well, where there are rules of alerts. */
const rulesOnly: readonly IncidentKind[] = ["webhook_down"];
const drawnKinds = (Object.keys(incidentKinds) as IncidentKind[]).filter((kind) =>
  !filesOnly.includes(kind) && !rulesOnly.includes(kind)
);
/** One seed in so many has rules of alerts. */
const RULES_EVERY = 3;

/** The fault that an incident is; `count` and `forMs` mean what its kind says. */
export interface Incident {
  readonly kind: IncidentKind;
  /** Since the start. */
  readonly atMs: number;
  readonly board?: number;
  readonly worker?: number;
  readonly ingest?: number;
  readonly count?: number;
  readonly forMs?: number;
}

/** What runs on a board. */
export type BoardKind = "model" | "micropython";

export interface Scenario {
  readonly version: 1;
  readonly seed: number;
  readonly startMs: number;
  /** How long boards sample and faults may happen; then all is quiet. */
  readonly faultsMs: number;
  readonly partitions: number;
  readonly workers: number;
  readonly ingests: number;
  readonly windows: readonly WindowSpec[];
  readonly publishEveryMs: number;
  readonly readWaitMs: number;
  readonly recordsPerCommitMax: number;
  /**
   * What runs on the boards: their model (default), or the project's firmware in MicroPython. The firmware has its own
   * flash ring and its own rules of sending: of a board's specification its device, interval, latency and clock count.
   */
  readonly firmware?: BoardKind;
  /** The file of rules of alerts, version by version; there is none by default. */
  readonly rules?: readonly RulesFile[];
  readonly boards: readonly ModelBoardSpec[];
  readonly incidents: readonly Incident[];
}

export interface DrawOptions {
  readonly devices?: number;
  readonly hours?: number;
  /** Only these kinds; none for an empty list; default: each with even chance. */
  readonly faults?: readonly IncidentKind[];
  /** Default: models. */
  readonly boards?: BoardKind;
  /** Rows go to real files: some of them are cut, besides what is drawn. Not with a list of `faults`. */
  readonly onFiles?: boolean;
}

export const judgeOf = (scenario: Pick<Scenario, "windows">): JudgeConfig => ({
  ...defaultConfig,
  windows: scenario.windows,
});

const fixed = (label: string, sizeMs: number, hopMs = sizeMs): WindowSpec => ({
  kind: "fixed",
  label,
  sizeMs,
  hopMs,
});

/** The scenario of `seed`. */
export function drawScenario(
  seed: number,
  { devices = 5, hours = 2, faults, boards = "model", onFiles = false }: DrawOptions = {},
): Scenario {
  const random = seededRandom(seed, "scenario");
  const faultsMs = Math.max(MINUTE, Math.round(hours * HOUR));
  const partitions = 1 + below(random, 3);
  const workers = 1 + below(random, Math.min(4, partitions + 1));
  const ingests = 1 + below(random, 3);
  const startMs = pick(random, [
    Date.UTC(2026, 2, 28, 23, 30),
    Date.UTC(2026, 9, 25, 0, 10),
    Date.UTC(2025, 11, 31, 23),
    Date.UTC(2026, 5, 1, 6),
  ]) + below(random, HOUR);
  const windows = pick<readonly WindowSpec[]>(random, [
    defaultConfig.windows,
    [fixed("1m", MINUTE), fixed("10m", 10 * MINUTE)],
    [fixed("1m", MINUTE), fixed("5m by 1m", 5 * MINUTE, MINUTE), fixed("1h", HOUR)],
    [fixed("30s", 30 * SECOND), { kind: "local_day", label: "day", zone: "Europe/Berlin" }],
  ]);
  const scenario: Omit<Scenario, "incidents"> = {
    version: 1,
    ...{ seed, startMs, faultsMs, partitions, workers, ingests, windows },
    publishEveryMs: pick(random, [2 * MINUTE, 10 * MINUTE]),
    readWaitMs: pick(random, [500, 2 * SECOND, 10 * SECOND]),
    recordsPerCommitMax: pick(random, [1, 7, 5_000]),
    ...(boards === "model" ? {} : { firmware: boards }),
    boards: Array.from({ length: devices }, (_, i) => drawBoard(seed, i)),
  };
  const allowed = faults ?? drawnKinds.filter(() => chance(random, 1, 2));
  const incidents = drawIncidents(seededRandom(seed, "incidents"), scenario, allowed);
  const rules = drawRulesOf(seededRandom(seed, "rules"), scenario, faults);
  incidents.push(...rules.incidents);
  if (onFiles && faults === undefined) {
    incidents.push(...drawDamage(seededRandom(seed, "damage"), scenario));
    incidents.push(...drawCompany(seededRandom(seed, "company"), scenario));
  }
  const isRuled = rules.files.length > 0;
  return {
    ...scenario,
    ...isRuled ? { rules: rules.files } : {},
    incidents: incidents.sort((a, b) => a.atMs - b.atMs),
  };
}

/** Rules of alerts in some seeds, and a receiver that is away at times in half of them. */
function drawRulesOf(
  random: Random,
  { windows, faultsMs }: Omit<Scenario, "incidents">,
  faults: readonly IncidentKind[] | undefined,
): { readonly files: readonly RulesFile[]; readonly incidents: readonly Incident[] } {
  const isWanted = faults?.includes("webhook_down") ?? chance(random, 1, RULES_EVERY);
  if (!isWanted) return { files: [], incidents: [] };
  const files = drawRules(random, windows, faultsMs);
  const isAway = faults === undefined && chance(random, 1, 2);
  const incidents = Array.from({ length: isAway ? 3 : 0 }, (): Incident => ({
    kind: "webhook_down",
    atMs: below(random, faultsMs),
    forMs: MINUTE + below(random, 10 * MINUTE),
  }));
  return { files, incidents };
}

/** What damages files: half of the faults' time has passed, so there is something to be damaged. */
function drawDamage(random: Random, { faultsMs, workers }: Omit<Scenario, "incidents">): Incident[] {
  const draw = (kind: IncidentKind, times: number, last: (random: Random) => Partial<Incident>): Incident[] =>
    Array.from({ length: times }, () => ({
      kind,
      atMs: (faultsMs >> 1) + below(random, faultsMs >> 1),
      worker: below(random, workers),
      ...last(random),
    }));
  const forSeconds = (random: Random) => ({ forMs: SECOND + below(random, 10 * SECOND) });
  const inSteps = (max: number) => (random: Random) => ({ count: 1 + below(random, max) });
  return [
    ...draw("live_file_truncated", 1, forSeconds),
    // A write-ahead log is often empty when it is cut, so it is cut more often.
    ...draw("wal_truncated", 3, forSeconds),
    // The tables of a transaction, its COMMIT and what is looked up before it; the steps of a publication.
    ...draw("duckdb_error", 6, inSteps(12)),
    ...draw("duckdb_given_up", 3, inSteps(3)),
    ...draw("file_error", 4, inSteps(24)),
    ...draw("crash_while_publishing", 3, (random) => ({ ...inSteps(24)(random), ...forSeconds(random) })),
  ];
}

/**
 * What damage to files should meet and seldom does, since runs on files are few and short: outcomes that only some faults
 * have, each in half of these runs.
 */
function drawCompany(random: Random, { faultsMs, boards }: Omit<Scenario, "incidents">): Incident[] {
  const kinds: readonly IncidentKind[] = [
    ...["hostile_sender", "ingest_crash", "wifi_down", "sensor_silent", "sensor_out_of_range"] as const,
  ];
  return kinds.filter(() => chance(random, 1, 2)).map((kind) => ({
    kind,
    atMs: below(random, faultsMs),
    board: below(random, boards.length),
    count: 20,
    forMs: 10 * MINUTE,
  }));
}

/** Each board by a source of its own: one board more does not change the others. */
function drawBoard(seed: number, number: number): ModelBoardSpec {
  const random = seededRandom(seed, "board", number);
  const clock = below(random, 10);
  return {
    device: `board-${number + 1}`,
    everyMs: pick(random, [5_000, 10_000, 10_000, 10_000, 30_000, 61_000]),
    flashReadingsMax: pick(random, [60, 400, 5_000]),
    flushReadings: pick(random, [1, 3, 6]),
    sendEveryMs: pick(random, [10_000, 30_000, 60_000, 10 * MINUTE]),
    batchReadingsMax: pick(random, [1, 20, 60, 200]),
    latencyMs: 5 + below(random, 200),
    clock: {
      kind:
        (["good", "good", "good", "good", "good", "good", "late", "never", "ahead", "zero"] as const)[clock]!,
      driftPpm: below(random, 401) - 200,
    },
  };
}

function drawIncidents(
  random: Random,
  scenario: Omit<Scenario, "incidents">,
  allowed: readonly IncidentKind[],
): Incident[] {
  if (allowed.length === 0) return [];
  const perHour = pick(random, [4, 12, 40]);
  const count = Math.max(allowed.length > 0 ? 1 : 0, Math.round(perHour * scenario.faultsMs / HOUR));
  return Array.from({ length: count }, () => {
    const kind = pick(random, allowed);
    const needs: readonly string[] = incidentKinds[kind];
    return {
      kind,
      atMs: below(random, scenario.faultsMs),
      ...(needs.includes("board") ? { board: below(random, scenario.boards.length) } : {}),
      ...(needs.includes("worker") ? { worker: below(random, scenario.workers) } : {}),
      ...(needs.includes("ingest") ? { ingest: below(random, scenario.ingests) } : {}),
      ...(needs.includes("count") ? { count: pick(random, [1, 1, 2, 3, 8, 20]) } : {}),
      ...(needs.includes("forMs")
        ? {
          forMs: pick(random, [100, SECOND, 5 * SECOND, 30 * SECOND, 2 * MINUTE, 10 * MINUTE]) +
            below(random, SECOND),
        }
        : {}),
    };
  });
}

/** Every drawn parameter, for a person: printed before the run. */
export function describeScenario(scenario: Scenario): string[] {
  const { boards, incidents, windows, rules = [], ...rest } = scenario;
  const counts = new Map<string, number>();
  for (const { kind } of incidents) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return [
    Object.entries(rest).map(([name, value]) => `${name}=${value}`).join(" "),
    `windows ${windows.map((spec) => spec.label).join(", ")}`,
    ...rules.map(({ atMs, text }) => `rules of alerts after ${atMs} ms: ${text}`),
    ...boards.map(({ clock, ...board }) =>
      `${Object.entries(board).map(([name, value]) => `${name}=${value}`).join(" ")} clock=${clock.kind}` +
      `${clock.driftPpm >= 0 ? "+" : ""}${clock.driftPpm}ppm`
    ),
    `${incidents.length} incidents: ${
      [...counts].map(([kind, count]) => `${kind} ${count}`).sort().join(", ")
    }`,
  ];
}
