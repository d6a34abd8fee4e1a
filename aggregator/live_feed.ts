/** The live feed of one process: whoever listens is called at once, in the order of subscription. */
import type { LiveEvent, LiveFeed } from "../core/ports/live_feed.ts";
import type { Trace } from "../core/ports/trace.ts";

/** Listeners at one time; one more is refused by an error that says so. */
const LISTENERS_MAX = 1_000;

/** A listener that throws is taken off, with a trace; the others and the caller don't notice. */
export function createLiveFeed(trace: Trace): LiveFeed {
  const listeners = new Map<(event: LiveEvent) => void, () => boolean>();
  return {
    emit(event) {
      for (const listener of listeners.keys()) {
        try {
          listener(event);
        } catch (error) {
          listeners.delete(listener);
          const message = error instanceof Error ? error.message : String(error);
          trace.emit("warn", "live_feed.listener_failed", { message });
        }
      }
    },
    subscribe(listener, isWatching = () => true) {
      if (listeners.size >= LISTENERS_MAX) {
        throw new Error(`the live feed has ${LISTENERS_MAX} listeners, no more are taken: close one first`);
      }
      listeners.set(listener, isWatching);
      return () => listeners.delete(listener);
    },
    isWatched: () => [...listeners.values()].some((isWatching) => isWatching()),
  };
}
