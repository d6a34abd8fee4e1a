/** Spans of simulated time as scenarios write them: `250ms`, `1.5s`. */

const NANOS = { ns: 1n, us: 1_000n, ms: 1_000_000n, s: 1_000_000_000n } as const;

/** The longest span: about 104 days. Beyond it, a number of nanoseconds isn't exact any more. */
export const nanosMax = Number.MAX_SAFE_INTEGER;

/** Nanoseconds, or a sentence that says what is wrong. A bare number is refused, as by wokwi-cli; only `0` needs no unit. */
export function parseDuration(value: unknown): number | string {
  if (value === 0 || value === "0") return 0;
  const match = typeof value === "string"
    ? /^(\d{1,20})(?:\.(\d{1,9}))?\s*(ns|us|ms|s)$/.exec(value.trim())
    : null;
  if (match === null) return `must be a number with a unit (ns, us, ms or s), such as 500ms`;
  const [, whole = "0", fraction = "", unit] = match;
  const scaled = BigInt(whole + fraction) * NANOS[unit as keyof typeof NANOS];
  const divisor = 10n ** BigInt(fraction.length);
  if (scaled % divisor !== 0n) return "must be a whole number of nanoseconds";
  const nanos = scaled / divisor;
  return nanos > BigInt(nanosMax) ? "is longer than 104 days" : Number(nanos);
}

/** For people: `6.5 s`, `1 h 2 min 3 s`, `0 s`. */
export function durationText(nanos: number): string {
  const secondsAll = nanos / 1e9;
  if (secondsAll < 60) return `${trimmed(secondsAll)} s`;
  const whole = Math.floor(secondsAll);
  const [hours, minutes] = [Math.floor(whole / 3_600), Math.floor(whole / 60) % 60];
  const seconds = trimmed(secondsAll - hours * 3_600 - minutes * 60);
  return [
    hours > 0 ? `${hours} h` : "",
    minutes > 0 ? `${minutes} min` : "",
    seconds === "0" ? "" : `${seconds} s`,
  ].filter((part) => part !== "").join(" ");
}

/** Milliseconds are as fine as a person reads; what is shorter is shown in full. */
function trimmed(seconds: number): string {
  const digits = seconds > 0 && seconds < 0.001 ? 9 : 3;
  return seconds.toFixed(digits).replace(/\.?0+$/, "");
}
