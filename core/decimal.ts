/**
 * Decimal text → thousandths, half away from zero, exactly: "21.4005" is 21,401 although no double is 21.4005.
 *
 * A JSON number arrives as a double, but its shortest decimal text is the sender's own for up to 15 significant digits
 * (IEEE 754-2019, 5.12.2: decimal → binary64 → decimal keeps 15). Longer numbers are parsed from their source text by
 * `parseJson` in `schema.ts`, so doubles never decide a rounding.
 */
import { limits } from "./limits.ts";

const DECIMAL = /^(-?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/;
/** Exponents beyond are as good as this one: a record has fewer digits. */
const EXPONENT_MAX = 1e9;

/** Thousandths of a finite number, clamped to ±`limits.thousandthsMax`. */
export function thousandths(value: number): number {
  const scaled = Math.round(Math.abs(value) * 1_000);
  if (scaled > limits.thousandthsMax) return value < 0 ? -limits.thousandthsMax : limits.thousandthsMax;
  // The nearest thousandth is the value itself: nothing to round. (Nearly every sensor value ends here.)
  if (scaled / 1_000 === Math.abs(value)) return value < 0 && scaled > 0 ? -scaled : scaled;
  return thousandthsOfText(String(value));
}

/** Thousandths of a decimal number in JSON's notation, clamped to ±`limits.thousandthsMax`; NaN if it is none. */
export function thousandthsOfText(text: string): number {
  const match = DECIMAL.exec(text);
  if (match === null) return NaN;
  const [, sign, whole = "", fraction = "", exponent = "0"] = match;
  const digits = (whole + fraction).replace(/^0+/, "");
  // value = digits × 10^scale thousandths
  const scale = Math.max(-EXPONENT_MAX, Math.min(EXPONENT_MAX, Number(exponent))) - fraction.length + 3;
  const magnitude = roundedDigits(digits, scale);
  return sign === "-" && magnitude > 0 ? -magnitude : magnitude;
}

function roundedDigits(digits: string, scale: number): number {
  if (digits === "") return 0;
  if (digits.length + scale > 10) return limits.thousandthsMax;
  if (scale >= 0) return Math.min(Number(digits + "0".repeat(scale)), limits.thousandthsMax);
  const kept = digits.length + scale;
  if (kept < 0) return 0;
  const roundsUp = digits.charCodeAt(kept) >= 0x35; // "5": the first digit dropped decides, half goes away from zero
  return Math.min(Number(digits.slice(0, kept) || "0") + (roundsUp ? 1 : 0), limits.thousandthsMax);
}
