/**
 * The live stream. The browser's `EventSource` reconnects by itself and names the last id it has seen; the server goes
 * on from there, and every event carries whole state, so nothing is lost and nothing counts twice.
 *
 * What the page says of itself: `live`, `waiting` (connected, nothing yet), `broken` (since when). A connection that
 * says nothing at all, not even the heartbeat of 15 s, is opened anew.
 */
import { after, nowMs } from "./world.js";

const FIRST_RETRY_MS = 1_000;
const RETRY_MAX_MS = 15_000;

/**
 * `on` has a function for each event's name, called with its data, and `state(word, sinceMs)`. Ends when `signal` aborts.
 */
export function openLive(query, on, signal) {
  let source = null;
  let lastId = null;
  let retryMs = FIRST_RETRY_MS;
  let cancelRetry = () => {};
  let word = "";
  const tell = (next) => {
    if (word === next) return;
    word = next;
    on.state?.(next, nowMs());
  };

  const open = () => {
    const params = new URLSearchParams(query);
    if (lastId !== null) params.set("since", lastId);
    source = new EventSource(`/live?${params}`);
    source.onopen = () => {
      retryMs = FIRST_RETRY_MS;
      tell("live");
    };
    source.onerror = () => {
      tell("broken");
      // The browser tries again by itself unless the answer was no stream; then it is closed, and we do.
      if (source.readyState === EventSource.CLOSED) retry();
    };
    for (const name of ["reset", "window", "device", "position"]) {
      source.addEventListener(name, (event) => {
        lastId = event.lastEventId || lastId;
        tell("live");
        on[name]?.(JSON.parse(event.data));
      });
    }
    source.addEventListener("slow", () => {
      tell("broken");
      retry();
    });
  };
  const retry = () => {
    source.close();
    cancelRetry();
    cancelRetry = after(retryMs, open);
    retryMs = Math.min(RETRY_MAX_MS, 2 * retryMs);
  };

  signal.addEventListener("abort", () => {
    cancelRetry();
    source?.close();
  }, { once: true });
  open();
}
