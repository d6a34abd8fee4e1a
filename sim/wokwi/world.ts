/**
 * The world of one simulation: its time, and what the board reaches over Wi-Fi. A session plans everything on the
 * world's scheduler and runs events by `step` alone, so that what an event has started elsewhere (ingest, the log, files)
 * is at rest before virtual time goes on.
 */
import { type HttpHandler, HttpNetwork, type Network } from "../board/mod.ts";
import { Scheduler } from "../scheduler.ts";

export interface World {
  readonly scheduler: Scheduler;
  readonly network: Network;
  /**
   * Lets what has come from outside the simulated world become events; called before the next event is chosen. Only a
   * world with an outside has it, and needs looking after while no event is planned.
   */
  settle?(): Promise<void>;
  /** Runs the scheduler's next event, and all that it starts, to its end; false when nothing is planned. */
  step(): Promise<boolean>;
}

/** A world with one server that answers at once, at every name and port; `startMs` is virtual Unix time. */
export function worldOf(startMs: number, handler: HttpHandler): World {
  const scheduler = new Scheduler({ startMs });
  return { scheduler, network: new HttpNetwork({ scheduler, handler }), step: () => scheduler.step() };
}
