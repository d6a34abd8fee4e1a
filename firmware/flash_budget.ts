/**
 * How much the backlog holds, and how long the flash lives: arithmetic for the README and the sizes task.
 *
 * Each slot is flushed on its own. littlefs then copies the segment's block to a freshly erased one (a file's last block
 * is rewritten when it is appended to after a flush), and appends a commit to the folder's metadata, whose pair of
 * blocks is erased every {@link COMMITS_PER_BLOCK} commits. Erases spread over all free blocks (dynamic wear levelling).
 */

/** Rated erase cycles of the flash chips on ESP32 modules (GigaDevice GD25Q32 and Winbond W25Q32: 100,000). */
export const RATED_CYCLES = 100_000;
/** littlefs on MicroPython's 4 MiB image: 2 MiB in blocks of 4 KiB. */
export const BLOCK_BYTES = 4_096;
const BLOCKS = 512;
/** Blocks that the wear spreads over while the ring is nearly empty: all but firmware and metadata. */
const FREE_BLOCKS = 460;
/** A commit of a file's size and place takes some 60 bytes of a metadata block. */
const COMMITS_PER_BLOCK = 60;

const SEGMENTS = 256;
const SLOTS_PER_SEGMENT = 200;
const DAY_MS = 86_400_000;

/** What the ring holds at an interval. */
export function backlogSizes(everyMs: number): { readonly hours: number; readonly bytes: number } {
  const slots = (SEGMENTS - 1) * SLOTS_PER_SEGMENT; // the newest segment may be nearly empty
  return { hours: slots * everyMs / 3_600_000, bytes: SEGMENTS * BLOCK_BYTES };
}

/** Block erases a day, and years until the rated cycles are used up. */
export function wear(everyMs: number): { readonly erasesPerDay: number; readonly years: number } {
  const slotsPerDay = DAY_MS / everyMs;
  const segmentsPerDay = slotsPerDay / SLOTS_PER_SEGMENT;
  // a copy per slot, its metadata commit, and per segment: a new file, its removal
  const commitsPerDay = slotsPerDay + 3 * segmentsPerDay;
  const erasesPerDay = slotsPerDay + segmentsPerDay + commitsPerDay / COMMITS_PER_BLOCK;
  const cyclesPerDay = erasesPerDay / FREE_BLOCKS;
  return { erasesPerDay, years: RATED_CYCLES / cyclesPerDay / 365 };
}

/** The same, while an outage has filled half of the file system. */
export function wearWhileFull(everyMs: number): number {
  return wear(everyMs).years * (BLOCKS - SEGMENTS - (BLOCKS - FREE_BLOCKS)) / FREE_BLOCKS;
}
