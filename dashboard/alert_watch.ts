/**
 * Rules at work: looks at each publication once, folds the new rows (`core/alerts.ts`), remembers what fires, and tells a
 * webhook until it has listened. A restart goes on from the kept state, so nothing fires twice; a delivery that was under
 * way may be repeated, with the same `id`.
 */
import {
  type AlertEvent,
  type AlertRow,
  type AlertRule,
  type AlertState,
  concerns,
  initialAlertState,
  parseAlerts,
  type ParsedAlerts,
  stepAlert,
  stepSilence,
} from "../core/alerts.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Cell, PublishedRows } from "../core/ports/published.ts";
import type { Trace } from "../core/ports/trace.ts";
import type { AlertsPort } from "./ports.ts";

/** Where rules come from, state stays, and word goes out. */
export interface AlertFiles {
  /** Text of the file of rules; null when there is none. */
  rules(): Promise<string | null>;
  /** What {@link AlertFiles.keep} was given last; null at first. */
  kept(): Promise<string | null>;
  keep(text: string): Promise<void>;
  /** Delivers; resolves to the answer's status, rejects when nobody answers. */
  post(url: string, body: string): Promise<number>;
}

export interface AlertWatchPorts {
  readonly rows: PublishedRows;
  readonly files: AlertFiles;
  readonly clock: Clock;
  readonly trace: Trace;
}

/** Bounds, each with its reason. */
export const alertLimits = {
  /** How often a new publication is looked for. */
  lookMs: 1_000,
  /** So far back goes the first look: a new rule says what it would have said today, not last year. */
  firstLookMs: 24 * 3_600_000,
  /** Windows are published so long after their end at the most while their device sends or falls silent. */
  laterLookMs: 10 * 60_000,
  /** A device that drains a backlog brings older ones: every so often the look goes further back. */
  deepLookMs: 2 * 3_600_000,
  deepLookEvery: 30,
  /** Windows taken in at one time, to leave others their turn. */
  rowsAtOnceMax: 20_000,
  /** Events kept for the page, oldest dropped first. */
  eventsMax: 500,
  /** Tries to deliver, 1 s, 2 s, 4 s … apart, at most 10 min; then it is given up, and the page says so. */
  triesMax: 12,
  retryFirstMs: 1_000,
  retryMaxMs: 600_000,
} as const;

export type Delivery = "none" | "waiting" | "delivered" | "given up";

export interface KeptEvent extends AlertEvent {
  readonly delivery: Delivery;
  readonly tries: number;
  readonly dueMs: number;
  readonly problem: string | null;
}

interface Kept {
  readonly isotherm: 1;
  /** Newest start of a window that was looked at. */
  lookedToMs: number | null;
  states: Record<string, AlertState>;
  events: KeptEvent[];
}

export interface AlertWatch extends AlertsPort {
  /** Looks and delivers once; for the loop and for tests. */
  look(): Promise<void>;
  /** Goes on until `signal` aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export async function createAlertWatch(ports: AlertWatchPorts): Promise<AlertWatch> {
  const { rows, files, clock, trace } = ports;
  const kept = readKept(await files.kept());
  let parsed: ParsedAlerts | null = null;
  let source: string | null = null;
  let generation = -1;
  let changed = false;
  let looks = 0;
  let historyMs = 0;

  const readRules = async () => {
    const text = await files.rules();
    if (text === source) return;
    source = text;
    parsed = text === null ? null : parseAlerts(text);
    generation = -1;
    if (parsed?.kind === "problems") {
      trace.emit("warn", "alerts.rules_refused", { problems: parsed.problems.join("; ") });
    }
  };
  const record = (event: AlertEvent, webhook: string | null) => {
    changed = true;
    kept.events.push({
      ...event,
      // What a new rule finds in the past is history, and wakes nobody.
      delivery: webhook === null || event.atMs < historyMs ? "none" : "waiting",
      tries: 0,
      dueMs: 0,
      problem: null,
    });
    if (kept.events.length > alertLimits.eventsMax) kept.events.shift();
    trace.emit("info", "alerts.event", { id: event.id, kind: event.kind });
  };

  const fold = async (rules: readonly AlertRule[], webhook: string | null) => {
    const sizes = [
      ...new Set(rules.filter(({ when }) => when.kind !== "silence").map((rule) => rule.windowSize)),
    ];
    if (sizes.length === 0) return;
    historyMs = kept.lookedToMs === null ? clock.nowMs() - alertLimits.laterLookMs : 0;
    const isDeep = looks++ % alertLimits.deepLookEvery === 0;
    const fromMs = kept.lookedToMs === null
      ? null
      : kept.lookedToMs - (isDeep ? alertLimits.deepLookMs : alertLimits.laterLookMs);
    for await (const row of newWindows(rows, sizes, fromMs)) {
      for (const rule of rules) {
        if (
          rule.when.kind === "silence" || rule.windowSize !== row.windowSize || !concerns(rule, row.device)
        ) {
          continue;
        }
        const key = `${rule.name}\n${row.device}`;
        const before = kept.states[key] ?? initialAlertState;
        const { state, event } = stepAlert(rule, before, row);
        if (state !== before) changed = true;
        kept.states[key] = state;
        if (event !== null) record(event, webhook);
      }
      if (kept.lookedToMs === null || row.startMs > kept.lookedToMs) kept.lookedToMs = row.startMs;
    }
  };
  const listen = async (rules: readonly AlertRule[], webhook: string | null) => {
    const silences = rules.filter(({ when }) => when.kind === "silence");
    if (silences.length === 0) return;
    const devices = await rows.query("SELECT device, epoch_ms(last_heard), retired FROM devices") ?? [];
    const nowMs = clock.nowMs();
    for (const [device, lastHeardMs, retired] of devices) {
      const one = { device: String(device), lastHeardMs: Number(lastHeardMs), retired: retired === true };
      for (const rule of silences) {
        if (!concerns(rule, one.device)) continue;
        const key = `${rule.name}\n${one.device}`;
        const { state, event } = stepSilence(rule, kept.states[key] ?? initialAlertState, one, nowMs);
        if (event === null) continue;
        kept.states[key] = state;
        record(event, webhook);
      }
    }
  };
  const deliver = async (webhook: string) => {
    const nowMs = clock.nowMs();
    for (const [index, event] of kept.events.entries()) {
      if (event.delivery !== "waiting" || event.dueMs > nowMs) continue;
      kept.events[index] = await tried(event, webhook);
      changed = true;
    }
  };
  const tried = async (event: KeptEvent, webhook: string): Promise<KeptEvent> => {
    const { delivery: _, tries: before, dueMs: __, problem: ___, ...told } = event;
    const tries = before + 1;
    let problem: string;
    try {
      const status = await files.post(webhook, JSON.stringify(told));
      if (status >= 200 && status < 300) return { ...event, tries, delivery: "delivered", problem: null };
      problem = `the receiver answered ${status}`;
    } catch (error) {
      problem = (error as Error).message;
    }
    const waitMs = Math.min(alertLimits.retryMaxMs, alertLimits.retryFirstMs * 2 ** before);
    const delivery = tries >= alertLimits.triesMax ? "given up" : "waiting";
    return { ...event, tries, delivery, dueMs: clock.nowMs() + waitMs, problem };
  };

  const look = async () => {
    await readRules();
    if (parsed?.kind === "rules") {
      const { rules, webhook } = parsed;
      const published = await rows.published();
      if (published !== null && published.generation !== generation) {
        await fold(rules, webhook);
        generation = published.generation;
      }
      if (published !== null) await listen(rules, webhook);
      // Kept before anything goes out: after a crash the same event is known, not found again.
      if (changed) await files.keep(JSON.stringify(kept));
      changed = false;
      if (webhook !== null) await deliver(webhook);
    }
    if (changed) await files.keep(JSON.stringify(kept));
    changed = false;
  };

  return {
    look,
    async run(signal) {
      while (!signal.aborted) {
        try {
          await look();
        } catch (error) {
          trace.emit("warn", "alerts.look_failed", { message: (error as Error).message });
        }
        await clock.sleep(alertLimits.lookMs, signal);
      }
    },
    state() {
      const rules = parsed?.kind === "rules" ? parsed.rules : [];
      return {
        hasRules: parsed !== null,
        problems: parsed?.kind === "problems" ? parsed.problems : [],
        webhook: parsed?.kind === "rules" && parsed.webhook !== null,
        rules: rules.map((rule) => ({ ...rule, firing: firingOf(kept, rule) })),
        events: kept.events.slice(-200).reverse(),
      };
    },
  };
}

/** Devices for which a rule fires now, with the moment since which. */
function firingOf({ states }: Kept, rule: AlertRule) {
  return Object.entries(states).flatMap(([key, { firedAtMs }]) => {
    const [name, device] = key.split("\n");
    return name === rule.name && firedAtMs !== null ? [{ device, sinceMs: firedAtMs }] : [];
  });
}

function readKept(text: string | null): Kept {
  const empty: Kept = { isotherm: 1, lookedToMs: null, states: {}, events: [] };
  if (text === null) return empty;
  try {
    const kept = JSON.parse(text) as Kept;
    return kept.isotherm === 1 ? kept : empty;
  } catch {
    return empty; // rules are then looked at as if they were new
  }
}

/** Closed windows that may be new, in the order of the fold; `fromMs` null begins as far back as the first look goes. */
async function* newWindows(
  rows: PublishedRows,
  sizes: readonly string[],
  fromMs: number | null,
): AsyncGenerator<AlertRow> {
  let after: readonly Cell[] = [0, "", ""];
  for (;;) {
    const found = await rows.query(
      `WITH log AS (SELECT epoch_ms(max(append_time)) AS ms FROM log_position)
       SELECT device, window_size, epoch_ms(window_start) AS start_ms, epoch_ms(window_end), revision, readings, expected,
         temperature_c_mean, temperature_c_min, temperature_c_max, humidity_pct_mean, humidity_pct_min, humidity_pct_max
       FROM windows, log
       WHERE window_size IN (${sizes.map(() => "?").join(", ")})
         AND window_end >= make_timestamp_ms(coalesce(?::BIGINT, ms - ?::BIGINT))
         AND (epoch_ms(window_start), window_size, device) > (?::BIGINT, ?, ?)
       ORDER BY start_ms, window_size, device LIMIT ${alertLimits.rowsAtOnceMax}`,
      [...sizes, fromMs, alertLimits.firstLookMs, ...after],
    ) ?? [];
    for (const cells of found) yield rowOf(cells);
    const last = found.at(-1);
    if (last === undefined || found.length < alertLimits.rowsAtOnceMax) return;
    after = [last[2] as Cell, last[1] as Cell, last[0] as Cell];
  }
}

function rowOf(cells: readonly Cell[]): AlertRow {
  const [
    device,
    windowSize,
    startMs,
    endMs,
    revision,
    readings,
    expected,
    tMean,
    tMin,
    tMax,
    hMean,
    hMin,
    hMax,
  ] = cells;
  const value = (cell: Cell | undefined) => typeof cell === "number" ? cell : null;
  return {
    device: String(device),
    windowSize: String(windowSize),
    startMs: Number(startMs),
    endMs: Number(endMs),
    revision: Number(revision),
    readings: Number(readings),
    expected: value(expected),
    temperature_c: { mean: value(tMean), min: value(tMin), max: value(tMax) },
    humidity_pct: { mean: value(hMean), min: value(hMin), max: value(hMax) },
  };
}
