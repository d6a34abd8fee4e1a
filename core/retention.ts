/** How long a reading is kept: to the end of the UTC day of its append time, plus the retention. */
const DAY_MS = 86_400_000;

/** Whether a record appended at `appendMs` is still kept when the log's time is `nowMs`. */
export function isKept(appendMs: number, nowMs: number, retentionMs: number): boolean {
  return (Math.floor(appendMs / DAY_MS) + 1) * DAY_MS + retentionMs > nowMs;
}
