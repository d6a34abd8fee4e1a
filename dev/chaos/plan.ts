/** What goes wrong when: drawn from the seed before anything starts, so that the same seed does the same again. */
import { below } from "../../core/ports/random.ts";
import { seededRandom } from "../../sim/random.ts";

/** `forMs`: how long it lasts, or until it is started again. */
export const chaosKinds = {
  ingest_killed: "SIGKILL to ingest",
  ingest_frozen: "SIGSTOP to ingest",
  aggregator_killed: "SIGKILL to an aggregator",
  aggregator_frozen: "SIGSTOP to an aggregator",
  broker_killed: "SIGKILL to the broker",
  broker_restarted: "SIGTERM to the broker, and started again",
  broker_frozen: "SIGSTOP to the broker",
  disk_full: "no room on the disk of an aggregator",
  network_slow: "each packet between boards and ingest waits",
  network_cut: "connections between boards and ingest break, with answers under way",
  network_gone: "boards connect to nobody",
  power_cut: "a board loses its power",
} as const;

export type ChaosKind = keyof typeof chaosKinds;

export interface ChaosIncident {
  readonly kind: ChaosKind;
  readonly atMs: number;
  readonly forMs: number;
  /** Which board or aggregator, where there are several. */
  readonly number: number;
}

/** One thing goes wrong every so often, on average. */
const EVERY_MS = 3_000;
/** A broker comes up again in some seconds, and nothing else can be seen meanwhile. */
const longest: Partial<Record<ChaosKind, number>> = { broker_frozen: 4_000, disk_full: 8_000 };

/** Every kind at least once where there is room for it; the order is drawn. */
export function drawChaos(seed: number, faultsMs: number): ChaosIncident[] {
  const random = seededRandom(seed, "chaos");
  const kinds = Object.keys(chaosKinds) as ChaosKind[];
  const count = Math.max(1, Math.round(faultsMs / EVERY_MS));
  return Array.from({ length: count }, (_, i): ChaosIncident => {
    const kind = i < kinds.length ? kinds[i]! : kinds[below(random, kinds.length)]!;
    return {
      kind,
      atMs: below(random, faultsMs),
      forMs: 200 + below(random, longest[kind] ?? 3_000),
      number: below(random, 100),
    };
  }).sort((a, b) => a.atMs - b.atMs);
}
