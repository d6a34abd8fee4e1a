import type { Clock } from "../core/ports/clock.ts";
import type { PublishedRows } from "../core/ports/published.ts";
import { dashboardLimits } from "./config.ts";
import { type Fleet, fleetOf } from "./fleet.ts";

/** One query about the fleet for everybody who asks within a while. */
export function createFleetCache(rows: PublishedRows, clock: Clock): { get(): Promise<Fleet | null> } {
  let held: { readonly answer: Promise<Fleet | null>; untilMs: number } | null = null;
  return {
    get() {
      if (held !== null && clock.monotonicMs() < held.untilMs) return held.answer;
      const answer = fleetOf(rows);
      const entry = { answer, untilMs: Infinity };
      held = entry;
      answer.then(
        (fleet) => entry.untilMs = clock.monotonicMs() + freshMs(fleet),
        () => entry.untilMs = 0,
      );
      return answer;
    },
  };
}

function freshMs(fleet: Fleet | null): number {
  const isLarge = (fleet?.devices.length ?? 0) > dashboardLimits.largeFleet;
  return isLarge ? dashboardLimits.largeFleetFreshMs : dashboardLimits.fleetFreshMs;
}
