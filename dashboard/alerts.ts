/** Rules and alerts for the page: the aggregator's word, or what the files say when there is none. */
import type { Cell, PublishedRows } from "../core/ports/published.ts";
import type { DashboardPorts } from "./ports.ts";

const ANSWER_MS = 2_000;
const SHOWN_MAX = 200;

/** In the shape of the aggregator's `/alerts` (`docs/endpoints.md`), with `from`: who says it. */
export async function alertsOf({ aggregator, rows, clock }: DashboardPorts) {
  if (aggregator === null) return await fromFiles(rows);
  const abort = new AbortController();
  const cancel = clock.after(ANSWER_MS, () => abort.abort());
  try {
    const answer = await aggregator("/alerts", { signal: abort.signal });
    if (answer.ok) return { from: "aggregator", ...await answer.json() as Record<string, unknown> };
    await answer.body?.cancel();
    return await fromFiles(rows);
  } catch {
    return await fromFiles(rows);
  } finally {
    cancel();
  }
}

async function fromFiles(rows: PublishedRows) {
  const rules = await rows.query(
    "SELECT definition, min(epoch_ms(since)), min(position) AS place FROM alert_rules GROUP BY definition ORDER BY place",
  ) ?? [];
  const firing = await rows.query(
    `SELECT rule, device, ms FROM (
       SELECT rule, device, arg_max(kind, place) AS kind, arg_max(ms, place) AS ms
       FROM (SELECT *, epoch_ms(alert_time) AS ms, log_offset::HUGEINT * 1000000 + log_index AS place FROM alerts)
       GROUP BY rule, device) WHERE kind = 'fired' ORDER BY ms DESC, rule, device`,
  ) ?? [];
  const alerts = await rows.query(
    `SELECT ${
      columns.join(", ")
    } FROM alerts ORDER BY decided_at DESC, log_offset DESC, log_index DESC LIMIT ?`,
    [SHOWN_MAX],
  ) ?? [];
  return {
    from: "files",
    has_file: rules.length > 0,
    problems: [],
    webhook: false,
    rules: rules.map(([definition, sinceMs]) => {
      const rule = JSON.parse(String(definition)) as { readonly name: string };
      const all = firing.filter(([name]) => name === rule.name);
      const named = all.slice(0, SHOWN_MAX).map(([, device, ms]) => ({ device, since: timeOf(ms) }));
      return { ...rule, since: timeOf(sinceMs), firing_devices: all.length, firing: named };
    }),
    alerts: alerts.map((cells) => ({
      ...Object.fromEntries(names.map((name, index) => [name, valueOf(name, cells[index])])),
      ...{ delivery: null, tries: 0, problem: null },
    })),
  };
}

const times = ["alert_time", "window_start", "previous_window_start", "decided_at"];
const names = [
  ...["alert_id", "kind", "rule", "device", "value", "sentence", "window_size", "past", "log_partition"],
  ...["log_offset", "log_index"],
  ...times,
];
const columns = names.map((name) => times.includes(name) ? `epoch_ms(${name})` : name);

const timeOf = (cell: Cell | undefined) =>
  cell === null || cell === undefined ? null : new Date(Number(cell)).toISOString();
const valueOf = (name: string, cell: Cell | undefined) => times.includes(name) ? timeOf(cell) : cell ?? null;
