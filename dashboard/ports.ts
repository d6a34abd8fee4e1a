/** What the dashboard is joined with: by `main.ts` with the real world, by `dev/` with the bench as well. */
import type { Clock } from "../core/ports/clock.ts";
import type { PublishedRows, SqlRunner } from "../core/ports/published.ts";
import type { Random } from "../core/ports/random.ts";
import type { Trace } from "../core/ports/trace.ts";

export interface DashboardPorts {
  readonly rows: PublishedRows;
  /** Null where no process can be started: the console then says so. */
  readonly sql: SqlRunner | null;
  /**
   * Asks the aggregator (`docs/endpoints.md`); `path` begins with a slash. Rejects when it can't be reached, and when
   * `signal` aborts. Null when only published files are shown.
   */
  readonly aggregator: ((path: string, init: AskInit) => Promise<Response>) | null;
  /** Simulated boards that a page may play with; in `deno task dev` only. */
  readonly bench: BenchPort | null;
  readonly clock: Clock;
  readonly random: Random;
  readonly trace: Trace;
}

export interface AskInit {
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** The simulated boards of this process. */
export interface BenchPort {
  state(): BenchState;
  /** Does what the page asks; a sentence when that isn't possible. */
  act(action: BenchAction): Promise<string | null>;
}

export interface BenchState {
  /** Virtual time of the boards in Unix ms; behind the clock while they catch up. */
  readonly nowMs: number;
  readonly boards: readonly BenchBoard[];
}

export interface BenchBoard {
  readonly device: string;
  readonly isPowered: boolean;
  readonly hasWiFi: boolean;
  readonly isLinked: boolean;
  readonly hasSensor: boolean;
  readonly clockAheadMs: number;
  /** What the air at the sensor is. */
  readonly temperatureC: number;
  readonly humidityPct: number;
  /** The air follows the sliders instead of the weather. */
  readonly isHeld: boolean;
  readonly boots: number;
  /** What the board itself told last on its serial port. */
  readonly backlog: number | null;
  /** Its last lines on the serial port, oldest first. */
  readonly lines: readonly string[];
  readonly led: boolean;
}

export type BenchAction =
  | {
    readonly kind: "air";
    readonly device: string;
    readonly temperatureC: number | null;
    readonly humidityPct: number | null;
  }
  | { readonly kind: "wifi" | "sensor" | "power" | "clock"; readonly device: string; readonly on: boolean }
  | { readonly kind: "reset"; readonly device: string };
