/** What a condition says of one closed window: exact integers compared, one sentence for people. Pure. */
import type { Channel, WindowState } from "./accumulator.ts";
import type { AlertChannel, AlertCondition } from "./alert_rules.ts";

/** The newest window with a value that a rule of change has seen. */
export interface Previous {
  readonly startMs: number;
  /** Exact sum in thousandths, and how many values are in it. */
  readonly sum: number;
  readonly count: number;
}

export interface Measured {
  readonly verdict: "bad" | "good" | "between";
  /** What was compared, in thousandths of its unit. */
  readonly valueMilli: number;
  readonly sentence: string;
  /** Start of the window that this one was compared with. */
  readonly previousStartMs: number | null;
  /** What to remember of this window; null for nothing. */
  readonly previous: Previous | null;
}

/** A window as far as a rule looks at it. */
type Judged = Pick<
  WindowState,
  "startMs" | "endMs" | "readings" | "everyMs" | "temperature" | "humidity"
>;

/** Null when the window has nothing that the condition is about. */
export function measure(
  when: AlertCondition,
  window: Judged,
  previous: Previous | null,
): Measured | null {
  switch (when.kind) {
    case "above":
    case "below": {
      const channel = channelOf(window, when.channel);
      if (channel.count === 0) return null;
      // A mean is compared as the fraction that it is: sum against bound × count.
      const [value, scale] = when.statistic === "mean"
        ? [channel.sum, channel.count]
        : [channel[when.statistic], 1];
      const sign = when.kind === "above" ? 1 : -1;
      const isBad = sign * (value - when.boundMilli * scale) > 0;
      const isGood = sign * (value - when.clearMilli * scale) <= 0;
      const beyond = value - when.boundMilli * scale;
      const side = beyond === 0 ? "at" : beyond > 0 ? "above" : "below";
      const valueMilli = Math.round(value / scale);
      return {
        verdict: isBad ? "bad" : isGood ? "good" : "between",
        valueMilli,
        sentence: `${when.statistic} of ${text(valueMilli, when.channel)}, ${side} ${
          text(when.boundMilli, when.channel)
        }`,
        previousStartMs: null,
        previous: null,
      };
    }
    case "rate": {
      const { sum, count } = channelOf(window, when.channel);
      if (count === 0) return null;
      const seen = { startMs: window.startMs, sum, count };
      if (previous === null) {
        return { verdict: "between", valueMilli: 0, sentence: "", previousStartMs: null, previous: seen };
      }
      const change = sum / count - previous.sum / previous.count;
      const valueMilli = Math.round(change * 3_600_000 / (window.startMs - previous.startMs));
      return {
        verdict: Math.abs(valueMilli) > when.perHourMilliMax ? "bad" : "good",
        valueMilli,
        sentence: `changes by ${text(valueMilli, when.channel)} an hour, allowed are ${
          text(when.perHourMilliMax, when.channel)
        }`,
        previousStartMs: previous.startMs,
        previous: seen,
      };
    }
    case "completeness": {
      const { readings, everyMs, startMs, endMs } = window;
      const expected = everyMs === null ? 0 : Math.floor((endMs - startMs) / everyMs);
      if (expected === 0) return null;
      const isBad = readings * 1_000 < when.boundMilli * expected;
      const isGood = readings * 1_000 >= when.clearMilli * expected;
      return {
        verdict: isBad ? "bad" : isGood ? "good" : "between",
        valueMilli: Math.round(readings * 1_000 / expected),
        sentence: `${readings} of ${expected} readings, at least ${when.boundMilli / 10} % are wanted`,
        previousStartMs: null,
        previous: null,
      };
    }
    case "silence":
      return null;
  }
}

const channelOf = (window: Judged, channel: AlertChannel): Channel =>
  channel === "temperature_c" ? window.temperature : window.humidity;

const text = (valueMilli: number, channel: AlertChannel) =>
  `${Math.round(valueMilli / 10) / 100} ${channel === "temperature_c" ? "°C" : "%"}`;
