/** A line of the terminal that shows how far a file is. */
const digits = new Intl.NumberFormat("en-US");
const barLength = 24;

/** The bar's text, without the carriage return. `sizeBytes` null: unknown, so there is no bar. */
export function progressText(
  bytes: number,
  sizeBytes: number | null,
  readings: number,
  elapsedMs: number,
): string {
  const seconds = Math.max(elapsedMs / 1_000, 0.001);
  const counts = `${digits.format(readings)} readings, ${digits.format(Math.round(readings / seconds))}/s`;
  if (sizeBytes === null || sizeBytes === 0) return counts;
  const share = Math.min(bytes / sizeBytes, 1);
  const full = Math.round(share * barLength);
  const left = share > 0.02 ? `, ${Math.ceil(seconds / share - seconds)} s left` : "";
  const bar = "█".repeat(full) + "░".repeat(barLength - full);
  return `${bar} ${String(Math.floor(share * 100)).padStart(3)} %  ${counts}${left}`;
}
