/** One scenario on the offline simulator, and what it left in DuckDB. */
import { APIClient } from "@wokwi/client";
import type { Clock } from "../../../core/ports/clock.ts";
import { Catalogue, QueryFailed } from "../../../platform/duckdb/reader.ts";
import type { MicroPythonRuntime } from "../../board/mod.ts";
import { type Expectation, mismatch, rowsMax } from "./expectations.ts";
import { PipelineWorld } from "./pipeline_world.ts";
import type { WokwiProject } from "../project.ts";
import type { ExpectationOutcome } from "./results.ts";
import type { Scenario } from "./scenario.ts";
import { type RunOptions, runScenario, type ScenarioResult } from "./scenario_run.ts";
import { WokwiSession } from "../session.ts";
import { InProcessTransport } from "./transports.ts";

/** When simulated time begins: 2026-06-01T12:00:00Z, always, so that rows can be expected to the millisecond. */
export const startMs = Date.UTC(2026, 5, 1, 12);

export interface OfflineJob extends RunOptions {
  readonly project: WokwiProject;
  readonly scenario: Scenario;
  readonly expectations: readonly Expectation[];
  readonly seed: number;
  /** Where the DuckDB files go; need not exist. */
  readonly dataFolder: string;
  /** Rows are written even if nobody expects any. */
  readonly keepsRows?: boolean;
}

export interface OfflinePorts {
  readonly clock: Clock;
  /** From `loadMicroPythonRuntime()`, once a process. */
  readonly runtime: MicroPythonRuntime | Promise<MicroPythonRuntime>;
}

export interface OfflineResult extends ScenarioResult {
  readonly expectations: readonly ExpectationOutcome[];
}

/** Runs as fast as the processor allows. The same job gives the same result, byte for byte. */
export async function runOffline(job: OfflineJob, ports: OfflinePorts): Promise<OfflineResult> {
  const world = new PipelineWorld({ seed: job.seed, startMs });
  try {
    const result = await simulate(job, ports, world);
    const { expectations, dataFolder, keepsRows = false } = job;
    // Rows of a run that broke off say nothing more, but may explain something.
    const isLookedAt = result.verdict.kind === "passed" && expectations.length > 0;
    const hasRows = world.recordCount > 0;
    if (hasRows && (isLookedAt || keepsRows)) await world.publish(dataFolder);
    if (!isLookedAt) return { ...result, expectations: [] };
    return {
      ...result,
      expectations: hasRows ? await lookAt(expectations, dataFolder) : unmet(expectations),
    };
  } finally {
    world.close();
  }
}

async function simulate(job: OfflineJob, ports: OfflinePorts, world: PipelineWorld): Promise<ScenarioResult> {
  const sessions: WokwiSession[] = [];
  const client = new APIClient(
    new InProcessTransport((onSend) => {
      const session = new WokwiSession({
        ...ports,
        seed: job.seed,
        makeWorld: () => world,
        files: new Map(),
        weather: job.weather,
        onSend,
        pace: "max",
      });
      sessions.push(session);
      return session;
    }),
  );
  try {
    return await runScenario(client, job.project, job.scenario, { ...job, weather: [] });
  } finally {
    client.close();
    for (const session of sessions) await session.close();
  }
}

function unmet(expectations: readonly Expectation[]): ExpectationOutcome[] {
  const nothing = "nothing has reached the log: let the scenario go on until a reading has been sent";
  return expectations.map(({ line, sql }) => ({ line, sql, mismatch: nothing }));
}

async function lookAt(expectations: readonly Expectation[], folder: string): Promise<ExpectationOutcome[]> {
  const catalogue = await Catalogue.open(folder);
  try {
    const outcomes: ExpectationOutcome[] = [];
    for (const expectation of expectations) {
      const { line, sql } = expectation;
      outcomes.push({ line, sql, mismatch: await differs(expectation, catalogue) });
    }
    return outcomes;
  } finally {
    catalogue.close();
  }
}

async function differs(expectation: Expectation, catalogue: Catalogue): Promise<string | null> {
  try {
    return mismatch(expectation, await catalogue.query(expectation.sql, rowsMax));
  } catch (error) {
    if (!(error instanceof QueryFailed)) throw error;
    return `line ${expectation.line}: ${error.message}`;
  }
}
