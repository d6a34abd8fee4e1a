/**
 * Diagnostics as JSON, one object a line, on standard error:
 * `{"time":"2026-01-02T03:04:05.678Z","level":"warn","event":"log.down","retryAfterMs":1000}`.
 *
 * A reader that stops reading must not stop the pipeline, so lines wait in a bounded queue for an asynchronous write
 * and what doesn't fit is dropped and counted (`trace.dropped`). What still waits when the process ends is written
 * then; a line that was being written at that moment can appear twice.
 */
import type { Clock } from "../core/ports/clock.ts";
import type { Trace, TraceFields, TraceLevel } from "../core/ports/trace.ts";
import { machineClock } from "./clock.ts";

/** Characters that wait for a slow reader of standard error; more is dropped and counted. */
const WAITING_MAX = 1_000_000;
const order: Readonly<Record<TraceLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };
const encoder = new TextEncoder();

/** Where lines go: standard error, or something else in a test. */
export interface TraceSink {
  write(bytes: Uint8Array): Promise<number>;
  writeSync(bytes: Uint8Array): number;
}

export interface TraceOptions {
  /** Entries below are not written. */
  readonly levelMin?: TraceLevel;
  /** Fields that every entry carries, such as the service's name. */
  readonly fields?: TraceFields;
  readonly clock?: Clock;
  readonly sink?: TraceSink;
}

/** A trace that can be waited for. */
export interface JsonTrace extends Trace {
  /** Resolves when everything emitted so far is written. */
  flush(): Promise<void>;
}

/** Makes the trace of a process. */
export function jsonTrace(options: TraceOptions = {}): JsonTrace {
  const { levelMin = "info", fields: common = {}, clock = machineClock, sink = Deno.stderr } = options;
  let waiting: string[] = [];
  let waitingLength = 0;
  let dropped = 0;
  let writing: Promise<void> | null = null;
  let inFlight = "";

  const line = (level: TraceLevel, event: string, fields: TraceFields): string =>
    JSON.stringify({ time: new Date(clock.nowMs()).toISOString(), level, event, ...common, ...fields }) +
    "\n";

  const take = (): string => {
    if (dropped > 0) waiting.push(line("warn", "trace.dropped", { entries: dropped }));
    const text = waiting.join("");
    waiting = [];
    waitingLength = 0;
    dropped = 0;
    return text;
  };

  const drain = async () => {
    try {
      while (waiting.length > 0 || dropped > 0) {
        inFlight = take();
        let bytes = encoder.encode(inFlight);
        while (bytes.length > 0) bytes = bytes.subarray(await sink.write(bytes));
        inFlight = "";
      }
    } catch {
      // Nobody reads standard error any more; there is no other place to say so.
      inFlight = "";
    } finally {
      writing = null;
    }
  };

  if (sink === Deno.stderr) {
    globalThis.addEventListener("unload", () => {
      try {
        let bytes = encoder.encode(inFlight + take());
        while (bytes.length > 0) bytes = bytes.subarray(sink.writeSync(bytes));
      } catch {
        // As above.
      }
    });
  }

  return {
    emit(level, event, fields = {}) {
      if (order[level] < order[levelMin]) return;
      const text = line(level, event, fields);
      if (waitingLength + text.length > WAITING_MAX) {
        dropped++;
        return;
      }
      waiting.push(text);
      waitingLength += text.length;
      writing ??= drain();
    },
    async flush() {
      while (writing !== null) await writing;
    },
  };
}
