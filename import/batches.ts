/**
 * Readings in file order → batches of one device each, in file order per device. A device's record of the log is judged
 * as a whole, so larger batches cost less; the bounds keep memory the same for a file of any size.
 */
import { limits } from "../core/limits.ts";
import type { ImportReading } from "./rows.ts";

/** Readings of one batch unless ingest's credit says less: about 40 KB, a few milliseconds of work. */
export const batchReadingsMax = 500;
/** Readings that wait for their batch to fill, all devices together; at it, all go out as they are. */
export const waitingReadingsMax = 20_000;
/** A batch's body stays well below `limits.batchBytesMax`, in UTF-16 units of ASCII and at most 3 bytes a unit. */
const batchLengthMax = Math.floor(limits.batchBytesMax / 4);

export interface ImportBatch {
  readonly device: string;
  readonly readings: readonly ImportReading[];
}

export interface Batcher {
  /** Takes a reading; gives the batches that are to be sent now. */
  add(reading: ImportReading): ImportBatch[];
  /** What still waits, in the order in which the batches were begun. */
  end(): ImportBatch[];
}

export function createBatcher(): Batcher {
  const waiting = new Map<string, { readings: ImportReading[]; length: number }>();
  let count = 0;

  function take(device: string): ImportBatch {
    const readings = waiting.get(device)?.readings ?? [];
    waiting.delete(device);
    count -= readings.length;
    return { device, readings };
  }

  const takeAll = () => [...waiting.keys()].map(take);

  return {
    add(reading) {
      const batch = waiting.get(reading.device) ?? { readings: [], length: 0 };
      waiting.set(reading.device, batch);
      batch.readings.push(reading);
      batch.length += reading.json.length + 1;
      count++;
      if (batch.readings.length >= batchReadingsMax || batch.length >= batchLengthMax) {
        return [take(reading.device)];
      }
      return count < waitingReadingsMax ? [] : takeAll();
    },
    end: takeAll,
  };
}

/** The body of one request: `readings` of `device` from the file's own digits. */
export function batchBody(device: string, readings: readonly ImportReading[]): string {
  return `{"device":${JSON.stringify(device)},"readings":[${
    readings.map((reading) => reading.json).join(",")
  }]}`;
}
