/** Records of a log in either of the forms that a reader gives them in. */
import type { LogRecord, RecordBlock } from "./ports/log.ts";

export type Records = readonly LogRecord[] | RecordBlock;

export const isBlock = (records: Records): records is RecordBlock => !Array.isArray(records);

export const recordAt = (records: Records, index: number): LogRecord =>
  isBlock(records) ? records.record(index) : records[index]!;

/** The first `count` of them. */
export const firstOf = (records: Records, count: number): Records =>
  isBlock(records) ? records.head(count) : records.slice(0, count);

/** Index of the first that has headers of note (not only the format's version 1) and for which `is` holds; else −1. */
export function findMarked(records: Records, is: (record: LogRecord) => boolean): number {
  if (!isBlock(records)) return records.findIndex(is);
  for (let i = 0; i < records.length; i++) if (records.plain[i] === 0 && is(records.record(i))) return i;
  return -1;
}
