/**
 * What alerts have to do with the world: the file of rules, which the workers record in the log, and the webhook, which is
 * told what the log has decided. It decides nothing itself.
 *
 * Alerts are durable before this desk hears of them, so a crash loses none: on taking a partition the newest alerts are
 * read again, and what has no settled delivery beside it is delivered. A delivery that was under way may come twice, with
 * the same `alert_id`. Not delivered is what a new rule found in the past, and what was decided before this data folder
 * first kept deliveries (a log that is read from its beginning tells old stories). In replay nothing goes out.
 */
import { parseAlerts, type ParsedAlerts } from "../core/alert_rules.ts";
import { definitionOf, rulesText } from "../core/alert_rules.ts";
import { limits } from "../core/limits.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Metrics } from "../core/ports/metrics.ts";
import type { Trace } from "../core/ports/trace.ts";
import type { AlertRow } from "../core/rows.ts";
import { alertId, alertShape } from "./shapes.ts";

/** Where rules come from, deliveries are kept, and word goes out. */
export interface AlertFiles {
  /** Text of the file of rules; null when there is none. */
  rules(): Promise<string | null>;
  /** What {@link AlertFiles.keep} was given last for this partition; null at first. */
  kept(partition: number): Promise<string | null>;
  keep(partition: number, text: string): Promise<void>;
  /** Delivers; resolves to the answer's status, rejects when nobody answers. */
  post(url: string, body: string): Promise<number>;
}

export interface AlertDeskPorts {
  readonly files: AlertFiles;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly trace: Trace;
}

/** The workers' side. Calls return at once. */
export interface AlertPort {
  /** Value of the record of rules that should be in force; null: leave those that are. */
  rules(): string | null;
  /** A partition was taken; `newest` are its newest alerts, oldest first. */
  took(partition: number, newest: readonly AlertRow[]): void;
  /** Alerts of a partition are durable. */
  committed(partition: number, alerts: readonly AlertRow[]): void;
  released(partition: number): void;
}

/** Bounds, each with its reason. */
export const deskLimits = {
  /** How often the file of rules is read again, and what is due is looked for. */
  lookMs: 1_000,
  /** Tries to deliver, 1 s, 2 s, 4 s … apart, at most 10 min; then it is given up, and the page says so. */
  triesMax: 12,
  retryFirstMs: 1_000,
  retryMaxMs: 600_000,
} as const;

export type DeliveryState = "none" | "waiting" | "delivered" | "given up";

export interface Delivery {
  readonly state: DeliveryState;
  readonly tries: number;
  readonly dueMs: number;
  readonly problem: string | null;
}

export interface AlertDesk extends AlertPort {
  /** Looks and delivers once; for the loop and for tests. */
  look(): Promise<void>;
  /** Goes on until `signal` aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** The file's problems, whether there is a file and a webhook, and the newest alerts, newest first. */
  state(): DeskState;
}

export interface DeskState {
  readonly hasFile: boolean;
  readonly problems: readonly string[];
  readonly hasWebhook: boolean;
  readonly alerts: readonly { readonly row: AlertRow; readonly delivery: Delivery | null }[];
}

/** A partition that is held. */
interface Held {
  /** The newest alerts, oldest first. */
  rows: AlertRow[];
  /** Null until it has been read. */
  kept: Kept | null;
}

interface Kept {
  readonly isotherm: 1;
  /** Alerts decided before are old stories. */
  readonly sinceMs: number;
  /** By `alert_id`. */
  deliveries: Record<string, Delivery>;
}

const none: Delivery = { state: "none", tries: 0, dueMs: 0, problem: null };

export function createAlertDesk(
  { files, clock, metrics, trace }: AlertDeskPorts,
  config: { readonly windowSizes: readonly string[]; readonly replay: boolean },
): AlertDesk {
  const held = new Map<number, Held>();
  let source: string | null = null;
  let parsed: ParsedAlerts | null = null;
  /** Value of the record; null while there is no file that can be read. */
  let text: string | null = null;
  let nudge = new AbortController();

  const readRules = async () => {
    const found = await files.rules();
    if (found === source && parsed !== null) return;
    source = found;
    parsed = found === null ? noRules : checked(parseAlerts(found), config.windowSizes);
    text = parsed.kind === "rules" ? rulesText(parsed.rules.map(definitionOf)) : null;
    if (parsed.kind === "problems") {
      trace.emit("warn", "alerts.rules_refused", { problems: parsed.problems.join("; ") });
    }
  };

  const webhook = () => config.replay || parsed?.kind !== "rules" ? null : parsed.webhook;

  /** Decides for each alert that is new here whether it is to be delivered. True if anything has changed. */
  const admit = ({ rows }: Held, kept: Kept): boolean => {
    // With a file that can't be read nobody knows whom to tell: it waits.
    if (parsed?.kind !== "rules") return false;
    let isChanged = false;
    for (const row of rows) {
      const id = alertId(row);
      if (kept.deliveries[id] !== undefined) continue;
      const isTold = webhook() !== null && !row.isPast && row.appendMs >= kept.sinceMs;
      kept.deliveries[id] = isTold ? { ...none, state: "waiting" } : none;
      isChanged = true;
    }
    const known = new Set(rows.map(alertId));
    for (const id of Object.keys(kept.deliveries)) if (!known.has(id)) delete kept.deliveries[id];
    return isChanged;
  };

  /** Tries what is due, in order; a receiver that fails is left alone until the next look. */
  const deliver = async ({ rows }: Held, kept: Kept, url: string): Promise<boolean> => {
    let isChanged = false;
    for (const row of [...rows]) {
      const id = alertId(row);
      const before = kept.deliveries[id];
      if (before?.state !== "waiting" || before.dueMs > clock.nowMs()) continue;
      const after = await tried(row, before, url);
      kept.deliveries[id] = after;
      isChanged = true;
      metrics.count("isotherm_alert_deliveries_total", 1, {
        outcome: after.state === "waiting" ? "failed" : after.state.replace(" ", "_"),
      });
      if (after.state !== "delivered") break;
    }
    return isChanged;
  };

  const tried = async (row: AlertRow, before: Delivery, url: string): Promise<Delivery> => {
    const tries = before.tries + 1;
    let problem: string;
    try {
      const status = await files.post(url, JSON.stringify(alertShape(row)));
      if (status >= 200 && status < 300) return { state: "delivered", tries, dueMs: 0, problem: null };
      problem = `the receiver answered ${status}`;
    } catch (error) {
      problem = (error as Error).message;
    }
    const waitMs = Math.min(deskLimits.retryMaxMs, deskLimits.retryFirstMs * 2 ** before.tries);
    const state = tries >= deskLimits.triesMax ? "given up" : "waiting";
    return { state, tries, dueMs: clock.nowMs() + waitMs, problem };
  };

  const look = async () => {
    await readRules();
    for (const [partition, one] of held) {
      let isChanged = false;
      if (one.kept === null) {
        one.kept = keptOf(await files.kept(partition)) ??
          { isotherm: 1, sinceMs: clock.nowMs(), deliveries: {} };
        isChanged = true;
      }
      if (admit(one, one.kept)) isChanged = true;
      const url = webhook();
      if (url !== null && await deliver(one, one.kept, url)) isChanged = true;
      if (isChanged && !config.replay && held.get(partition) === one) {
        await files.keep(partition, JSON.stringify(one.kept));
      }
    }
  };

  return {
    rules: () => config.replay ? null : text,
    took: (partition, newest) => void held.set(partition, { rows: remembered(newest), kept: null }),
    committed(partition, alerts) {
      const one = held.get(partition);
      if (one === undefined || alerts.length === 0) return;
      for (const { kind } of alerts) metrics.count("isotherm_alerts_total", 1, { kind });
      const rows = [...one.rows, ...alerts];
      const excess = rows.slice(0, Math.max(0, rows.length - limits.alertsRememberedMax));
      const lost = excess.filter((row) => one.kept?.deliveries[alertId(row)]?.state === "waiting").length;
      if (lost > 0) {
        metrics.count("isotherm_alert_deliveries_total", lost, { outcome: "dropped" });
        trace.emit("warn", "alerts.deliveries_dropped", { partition, alerts: lost });
      }
      one.rows = remembered(rows);
      nudge.abort();
    },
    released: (partition) => void held.delete(partition),
    look,
    async run(signal) {
      while (!signal.aborted) {
        nudge = new AbortController();
        try {
          await look();
        } catch (error) {
          trace.emit("warn", "alerts.look_failed", { message: (error as Error).message });
        }
        await clock.sleep(deskLimits.lookMs, AbortSignal.any([signal, nudge.signal]));
      }
    },
    state() {
      const alerts = [...held.values()].flatMap(({ rows, kept }) =>
        rows.map((row) => ({ row, delivery: kept?.deliveries[alertId(row)] ?? null }))
      );
      return {
        hasFile: source !== null,
        problems: parsed?.kind === "problems" ? parsed.problems : [],
        hasWebhook: webhook() !== null,
        alerts: alerts.sort((a, b) =>
          b.row.appendMs - a.row.appendMs || b.row.offset - a.row.offset || b.row.index - a.row.index
        ),
      };
    },
  };
}

const noRules: ParsedAlerts = { kind: "rules", rules: [], webhook: null };
const remembered = (rows: readonly AlertRow[]) => rows.slice(-limits.alertsRememberedMax);

/** Rules about windows that nobody keeps would never say anything. */
function checked(parsed: ParsedAlerts, windowSizes: readonly string[]): ParsedAlerts {
  if (parsed.kind === "problems") return parsed;
  const problems = parsed.rules.flatMap(({ when, windowSize }, index) =>
    when.kind === "silence" || windowSizes.includes(windowSize) ? [] : [
      `rule ${index + 1}: windows of ${JSON.stringify(windowSize)} aren't kept: there are ${
        windowSizes.join(", ")
      }`,
    ]
  );
  return problems.length === 0 ? parsed : { kind: "problems", problems };
}

function keptOf(text: string | null): Kept | null {
  if (text === null) return null;
  try {
    const kept = JSON.parse(text) as Kept;
    return kept.isotherm === 1 && typeof kept.deliveries === "object" ? kept : null;
  } catch {
    return null; // what was decided up to now is then not told again
  }
}
