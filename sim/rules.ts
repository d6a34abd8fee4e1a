/**
 * Rules of alerts in a run: the file that all workers read, which a person changes while they work, what is kept of
 * deliveries, and the receiver of the webhook, which is away at times.
 *
 * What must hold: the alerts that are stored are those of a fold of the whole log that nobody disturbs, and what the
 * receiver was told is what is stored, each alert at least once. Workers that die, zombies among them, tell nothing else.
 */
import type { AlertFiles } from "../aggregator/mod.ts";
import { alertId, alertShape } from "../aggregator/shapes.ts";
import type { JudgeConfig, WindowSpec } from "../core/config.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { LogRecord } from "../core/ports/log.ts";
import { below, chance, type Random } from "../core/ports/random.ts";
import type { AlertRow } from "../core/rows.ts";
import { limits } from "../core/limits.ts";
import { foldPartition } from "./fold_run.ts";

/** The file's text from a time on. */
export interface RulesFile {
  /** Since the start. */
  readonly atMs: number;
  readonly text: string;
}

const WEBHOOK = "http://receiver/hook";
const VERSIONS_MAX = 3;
/** Two workers that take a new partition one after the other don't agree on when its deliveries began. */
const TOLD_FROM_MS = 60_000;

/** One to three versions of the file, with some of these rules each; the last one comes before the faults end. */
export function drawRules(random: Random, windows: readonly WindowSpec[], faultsMs: number): RulesFile[] {
  const window_size = windows[0]!.label;
  const known = [
    { name: "warm", window_size, above: 21, clear: 20.5 },
    { name: "cold", window_size, below: 18, statistic: "min" },
    { name: "rising", window_size, changes_per_hour: 5 },
    { name: "few", window_size, complete_below: 0.7, clear: 0.9 },
    { name: "silent", silent_for_s: 60 + below(random, 600) },
    { name: "one board", device: "board-1", window_size, channel: "humidity_pct", above: 30 },
  ];
  return Array.from({ length: 1 + below(random, VERSIONS_MAX) }, (_, version) => {
    const rules = known.filter(() => chance(random, 2, 3)).map((rule) =>
      version > 0 && rule.name === "warm" ? { ...rule, above: 21 + below(random, 5) } : rule
    );
    return {
      atMs: version === 0 ? 0 : below(random, faultsMs),
      text: JSON.stringify({ webhook: WEBHOOK, rules }),
    };
  }).sort((a, b) => a.atMs - b.atMs);
}

/** What the workers of a run share about alerts. */
export class RulesWorld {
  readonly #versions: readonly RulesFile[];
  readonly #startMs: number;
  readonly #clock: Clock;
  readonly #kept = new Map<number, string>();
  readonly #told = new Map<string, string>();
  #away = 0;

  constructor(versions: readonly RulesFile[], startMs: number, clock: Clock) {
    this.#versions = versions;
    this.#startMs = startMs;
    this.#clock = clock;
  }

  /** The receiver answers 503 until {@link back} is called as often. */
  away(): void {
    this.#away++;
  }

  back(): void {
    this.#away--;
  }

  /** The world of one worker; its `call` ends with the process. */
  files(call: <T>(call: () => Promise<T>) => Promise<T>): AlertFiles {
    return {
      rules: () => Promise.resolve(this.#file()),
      kept: (partition) => call(() => Promise.resolve(this.#kept.get(partition) ?? null)),
      keep: (partition, text) => call(() => Promise.resolve(void this.#kept.set(partition, text))),
      post: (_url, body) =>
        call(() => {
          if (this.#away > 0) return Promise.resolve(503);
          this.#told.set((JSON.parse(body) as { readonly alert_id: string }).alert_id, body);
          return Promise.resolve(200);
        }),
    };
  }

  #file(): string | null {
    const sinceMs = this.#clock.nowMs() - this.#startMs;
    return this.#versions.findLast(({ atMs }) => atMs <= sinceMs)?.text ?? null;
  }

  /** What is wrong with what is stored and what was told of the alerts of `partition`, null if nothing is. */
  problem(partition: number, stored: readonly AlertRow[], expected: readonly AlertRow[]): string | null {
    const [found, wanted] = [stored.map(lineOf), expected.map(lineOf)];
    const at = wanted.findIndex((line, i) => line !== found[i]);
    if (found.length !== wanted.length || at >= 0) {
      const i = at < 0 ? wanted.length : at;
      return `alert ${i} of partition ${partition} (${found.length} of ${wanted.length} are stored) is ` +
        `${found[i]}, and must be ${wanted[i]}`;
    }
    const bodies = new Map(expected.map((row) => [alertId(row), JSON.stringify(alertShape(row))]));
    const own = [...this.#told].filter(([id]) => id.startsWith(`${partition}-`));
    const wrong = own.find(([id, body]) => bodies.get(id) !== body);
    if (wrong !== undefined) return `the receiver was told ${wrong[1]}, which is none of the alerts`;
    return this.#untold(partition, expected);
  }

  #untold(partition: number, expected: readonly AlertRow[]): string | null {
    const kept = this.#kept.get(partition);
    if (kept === undefined) return null;
    const { sinceMs, deliveries } = JSON.parse(kept) as {
      readonly sinceMs: number;
      readonly deliveries: Readonly<Record<string, { readonly state: string }>>;
    };
    for (const row of expected.slice(-limits.alertsRememberedMax)) {
      const id = alertId(row);
      const state = deliveries[id]?.state;
      if (state === "waiting") return `alert ${id} still waits to be told`;
      const isOld = row.isPast || row.appendMs < sinceMs + TOLD_FROM_MS;
      if (state !== "delivered" && isOld) continue;
      if (!this.#told.has(id)) {
        return `alert ${id} is ${state ?? "unknown"}, and the receiver knows nothing of it`;
      }
    }
    return null;
  }
}

/** The alerts of a fold that nobody disturbs, a record at a time. */
export function alertsOf(
  records: readonly LogRecord[],
  config: JudgeConfig,
  partition: number,
  partitions: number,
): readonly AlertRow[] {
  return foldPartition(records, config, partition, partitions, { batchRecords: 1 }).rows.alerts;
}

const lineOf = (row: AlertRow): string => `${alertId(row)} ${JSON.stringify(alertShape(row))}`;
