/** What happened in a run, for a person to look at (`page.ts`). */
import type { LogRecord } from "../../core/ports/log.ts";
import type { OracleResult } from "../oracle.ts";
import type { WorldSample } from "../oracle_world.ts";
import type { Scenario } from "../scenario.ts";

/** A request of a board on its way. */
export interface RequestStory {
  readonly device: string;
  readonly sentMs: number;
  /** When ingest had answered; null: it never did. */
  endedMs: number | null;
  /** A status, "refused", "died" or "lost"; null: none was heard of. */
  outcome: string | null;
  readonly fault: string | null;
  readonly body: string;
}

export interface Story {
  readonly scenario: Scenario;
  readonly violation: string | null;
  readonly digest: string;
  readonly endMs: number;
  readonly samples: readonly WorldSample[];
  readonly requests: readonly RequestStory[];
  readonly records: readonly LogRecord[];
  /** What the rows are, one result for each partition; empty if the run broke off. */
  readonly judged: readonly OracleResult[];
}
