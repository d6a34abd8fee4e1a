/** `GET /alerts`: the rules in force, what fires, and the newest alerts (docs/endpoints.md has the contract). */
import type { AlertRuleInForce } from "../core/alert_fold.ts";
import type { DeskState } from "./alert_desk.ts";
import { alertShape, timeText } from "./shapes.ts";

/** What one worker's fold says of rules. */
export interface PartitionAlerts {
  readonly rules: readonly AlertRuleInForce[];
  readonly firing: Iterable<{ readonly rule: string; readonly device: string; readonly sinceMs: number }>;
}

/** Devices that one rule names, and alerts that are told, at the most. */
const FIRING_MAX = 200;
const ALERTS_MAX = 200;

export function alertsBody(
  partitions: Iterable<PartitionAlerts>,
  desk: DeskState | null,
): Record<string, unknown> {
  const firing = new Map<string, { device: string; since: string }[]>();
  const rules = new Map<string, AlertRuleInForce>();
  for (const partition of partitions) {
    for (const rule of partition.rules) rules.set(rule.rule.name, rule);
    for (const { rule, device, sinceMs } of partition.firing) {
      const list = firing.get(rule) ?? [];
      firing.set(rule, list);
      list.push({ device, since: timeText(sinceMs) });
    }
  }
  return {
    has_file: desk?.hasFile ?? false,
    problems: desk?.problems ?? [],
    webhook: desk?.hasWebhook ?? false,
    rules: [...rules.values()].map(({ rule, definition, sinceMs }) => {
      const all = firing.get(rule.name) ?? [];
      return {
        ...JSON.parse(definition),
        since: timeText(sinceMs),
        firing_devices: all.length,
        firing: all.slice(0, FIRING_MAX),
      };
    }),
    alerts: (desk?.alerts ?? []).slice(0, ALERTS_MAX).map(({ row, delivery }) => ({
      ...alertShape(row),
      delivery: delivery?.state ?? null,
      tries: delivery?.tries ?? 0,
      problem: delivery?.problem ?? null,
    })),
  };
}
