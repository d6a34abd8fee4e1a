/**
 * A world that ends at real sockets: the board reaches an ingest on this machine, as it does from Wokwi's cloud through its
 * private gateway. Names and the time are the simulated world's own.
 *
 * Simulated time stands still while the board waits for an answer, so that a run doesn't depend on how fast that comes;
 * a server that takes longer counts as the outage that it is.
 */
import type { Clock } from "../../core/ports/clock.ts";
import { RealNetwork } from "../board/real_network.ts";
import { Scheduler } from "../scheduler.ts";
import type { World } from "./world.ts";

export interface RealWorldOptions {
  /** Virtual Unix time of the start, in milliseconds. */
  readonly startMs: number;
  readonly clock: Clock;
  /** The board reaches other hosts than this machine, too. Names and the time are there without it. */
  readonly hasInternet: boolean;
}

/** Wokwi's name for the machine on which the simulator runs. */
export const hostName = "host.wokwi.internal";

/** Wall milliseconds for which simulated time stands still for an answer. */
const ANSWER_MS = 5_000;

export function realWorld({ startMs, clock, hasInternet }: RealWorldOptions): World {
  const scheduler = new Scheduler({ startMs });
  const network = new RealNetwork(scheduler, (name) => realHost(name, hasInternet));
  const signal = new AbortController().signal;
  return {
    scheduler,
    network,
    step: () => scheduler.step(),
    async settle() {
      network.deliver();
      const endMs = clock.monotonicMs() + ANSWER_MS;
      while (network.busy && clock.monotonicMs() < endMs) {
        await network.arrival(clock, endMs - clock.monotonicMs(), signal);
        network.deliver();
      }
      if (network.busy) network.giveUp();
    },
  };
}

/** The real host that a name in the simulated world means; null: it can't be reached. */
export function realHost(name: string, hasInternet: boolean): string | null {
  if (name === hostName || name === "localhost" || name === "127.0.0.1") return "127.0.0.1";
  return hasInternet ? name : null;
}
