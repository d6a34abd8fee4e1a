/** Which faults met which outcomes: a pair that a range of seeds never reached was not tested by it. */
import type { Outcome } from "./pipeline.ts";
import { type IncidentKind, incidentKinds } from "./scenario.ts";
import { type Unreachable, unreachable } from "./unreachable.ts";

/** Outcomes that a table has as columns, in the order of a reading's way. */
export const outcomeColumns = [
  "answered 202",
  "answered 503",
  "connection refused",
  "duplicates",
  "counted",
  "counted_late",
  "sensor_fault",
  "quarantined out_of_range",
  "quarantined future",
  "quarantined no_time",
  "quarantined malformed",
  "slots lost",
  "slots missing",
  "closed by watermark",
  "closed by silence",
  "revised",
  "alerts",
] as const;

export type OutcomeColumn = (typeof outcomeColumns)[number];

export class Coverage {
  readonly #pairs = new Map<string, number>();
  readonly #incidents = new Map<string, number>();
  readonly #unreachable: readonly Unreachable[];

  /** `unreachable`: pairs that can't be reached. */
  constructor(excluded: readonly Unreachable[] = unreachable) {
    this.#unreachable = excluded;
  }

  add({ incidents, outcomes }: Pick<Outcome, "incidents" | "outcomes">): void {
    for (const [kind, count] of Object.entries(incidents)) {
      this.#incidents.set(kind, (this.#incidents.get(kind) ?? 0) + count);
      for (const outcome of outcomeColumns) {
        if ((outcomes[outcome] ?? 0) === 0) continue;
        const pair = `${kind}|${outcome}`;
        this.#pairs.set(pair, (this.#pairs.get(pair) ?? 0) + 1);
      }
    }
  }

  /** Runs in which both the fault and the outcome happened. */
  runs(kind: IncidentKind, outcome: string): number {
    return this.#pairs.get(`${kind}|${outcome}`) ?? 0;
  }

  /** Pairs of `kinds` with every outcome that no run reached, but for those that can't be reached. */
  unreached(kinds: readonly IncidentKind[]): string[] {
    const excluded = new Set(this.#unreachable.map(({ kind, outcome }) => `${kind}|${outcome}`));
    return kinds.flatMap((kind) =>
      outcomeColumns.filter((outcome) =>
        this.runs(kind, outcome) === 0 && !excluded.has(`${kind}|${outcome}`)
      ).map((outcome) => `${kind} × ${outcome}`)
    );
  }

  /** Pairs that were reached although {@link unreachable} says that they can't be. */
  contrary(): string[] {
    return this.#unreachable.filter(({ kind, outcome }) => this.runs(kind, outcome) > 0)
      .map(({ kind, outcome, reason }) => `${kind} × ${outcome} (${reason})`);
  }

  /** One line a fault: how often it happened, and in how many runs it met each outcome. */
  lines(): string[] {
    const kinds = (Object.keys(incidentKinds) as IncidentKind[]).filter((kind) => this.#incidents.has(kind));
    const head = `${"fault".padEnd(30)}${"times".padStart(7)}  ${
      outcomeColumns.map((_, i) => letter(i).padStart(4)).join("")
    }`;
    const key = outcomeColumns.map((outcome, i) => `${letter(i)} ${outcome}`).join(", ");
    return [
      head,
      ...kinds.map((kind) => {
        const cells = outcomeColumns.map((outcome) => String(this.runs(kind, outcome) || "·").padStart(4));
        return `${kind.padEnd(30)}${String(this.#incidents.get(kind) ?? 0).padStart(7)}  ${cells.join("")}`;
      }),
      `runs in which the fault met: ${key}`,
    ];
  }
}

const letter = (i: number) => String.fromCharCode(97 + i);
