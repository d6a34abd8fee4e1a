/** The model's store and forward; see `firmware/backlog.py` and `firmware/pending.py` for the reasons. */
import {
  type Anchor,
  type ModelRing,
  type ModelSlot,
  PLACES,
  type PreviousBoot,
  type Segment,
  segmentOf,
} from "./ring.ts";

const SPANS_MAX = 8;
const FRESH_MAX = 4;
const BASE_BEFORE_MS = 60_000;
const SEGMENTS_MAX = 256;
const RECORDS_MAX = 200;

type Span = [number, number];

export interface Selection {
  readonly boot: string;
  readonly previous: PreviousBoot | null;
  readonly start: number;
  end: number;
  readonly isSynced: boolean;
  readonly slots: { readonly slot: ModelSlot; readonly unixMs: number }[];
}

export class ModelBacklog {
  readonly boot: string;
  readonly previous: PreviousBoot | null;
  offsetMs: number | null = null;
  #firstOffsetMs: number | null = null;
  #nextSeq = 0;
  #spans: Span[];
  readonly #ring: ModelRing;

  constructor(ring: ModelRing, tail: number, boot: string, previous: PreviousBoot | null, uptimeMs: number) {
    this.#ring = ring;
    this.boot = boot;
    this.previous = previous;
    this.#spans = [[tail, tail]];
    this.#beginSegment(uptimeMs);
    this.#grow();
  }

  get tail(): number {
    return (this.#spans[0] as Span)[0];
  }

  /** About how many slots wait. */
  size(): number {
    let count = 0;
    for (const [low, high] of this.#spans) {
      count += (segmentOf(high) - segmentOf(low)) * RECORDS_MAX + high % PLACES - low % PLACES;
    }
    return count;
  }

  store(slot: Omit<ModelSlot, "kind" | "seq" | "tail">): void {
    this.#append({ kind: "slot", seq: this.#nextSeq, tail: this.tail, ...slot }, slot.uptimeMs);
    this.#nextSeq++;
  }

  anchor(offsetMs: number, uptimeMs: number): void {
    this.#append({ kind: "anchor", offsetMs }, uptimeMs);
    this.offsetMs = offsetMs;
    this.#firstOffsetMs ??= offsetMs;
  }

  #append(record: ModelSlot | Anchor, uptimeMs: number): void {
    if (this.#ring.head.records.length >= RECORDS_MAX) this.#beginSegment(uptimeMs);
    this.#ring.head.records.push(record.kind === "slot" ? { ...record, tail: this.tail } : record);
    this.#grow();
  }

  #grow(): void {
    (this.#spans.at(-1) as Span)[1] = this.#ring.nextPlace;
  }

  #beginSegment(uptimeMs: number): void {
    const ring = this.#ring;
    while (ring.newest - ring.oldest + 1 >= SEGMENTS_MAX) this.#giveUpOldest();
    const { boot, previous, offsetMs } = this;
    const baseMs = Math.max(0, uptimeMs - BASE_BEFORE_MS);
    ring.create({ boot, previous, firstSeq: this.#nextSeq, baseMs, offsetMs, records: [] });
  }

  #giveUpOldest(): void {
    const number = this.#ring.oldest;
    const segment = this.#ring.segments.get(number) as Segment;
    const waits = (place: number) => this.#spans.some(([low, high]) => low <= place && place < high);
    const seqs = segment.records.flatMap((record, index) =>
      record.kind === "slot" && waits(number * PLACES + index) ? [record.seq] : []
    );
    if (seqs.length > 0) {
      this.#ring.addLost(segment.boot, seqs[0] as number, seqs.at(-1) as number, "backlog_full");
    }
    this.#ring.removeOldest();
    this.#remove(0, this.#ring.oldest * PLACES);
  }

  // ---- reading ----

  fresh(limit: number): Selection | null {
    const [low, high] = this.#spans.at(-1) as Span;
    if (this.offsetMs === null || low >= high) return null;
    const start = Math.max(low, high - Math.min(limit, FRESH_MAX), this.#ring.newest * PLACES);
    if (this.#spans.length === 1 && start === low) return null;
    const selection = this.#select(start, high, limit);
    return selection !== null && selection.slots.length > 0 ? selection : null;
  }

  oldest(limit: number): Selection | null {
    for (const [from, high] of [...this.#spans]) {
      let low = from;
      while (low < high) {
        const selection = this.#select(low, high, limit);
        if (selection === null) return null;
        if (selection.slots.length > 0) return selection;
        this.acknowledge(selection);
        low = Math.max(selection.end, (segmentOf(low) + 1) * PLACES);
      }
    }
    return null;
  }

  #select(start: number, end: number, limit: number): Selection | null {
    const number = segmentOf(start);
    const segment = this.#ring.segments.get(number);
    if (segment === undefined) return emptySelection("", start, Math.min(end, (number + 1) * PLACES));
    const dated = this.#dateOf(number, segment);
    if (dated === null) return null;
    const { boot, previous } = segment;
    const selection: Selection = { boot, previous, start, end: start, isSynced: dated.isSynced, slots: [] };
    let offsetMs = segment.offsetMs;
    let index = 0;
    for (; index < segment.records.length; index++) {
      const place = number * PLACES + index;
      if (place >= end || selection.slots.length >= limit) return selection;
      const record = segment.records[index] as ModelSlot | Anchor;
      if (record.kind === "anchor") offsetMs = record.offsetMs;
      else if (place >= start) {
        selection.slots.push({ slot: record, unixMs: record.uptimeMs + (offsetMs ?? dated.offsetMs) });
      }
      selection.end = Math.max(start, place + 1);
    }
    if (number < this.#ring.newest) selection.end = Math.min(end, (number + 1) * PLACES);
    return selection;
  }

  #dateOf(number: number, segment: Segment): { offsetMs: number; isSynced: boolean } | null {
    if (segment.boot === this.boot) {
      return this.#firstOffsetMs === null ? null : { offsetMs: this.#firstOffsetMs, isSynced: true };
    }
    if (segment.offsetMs !== null) return { offsetMs: segment.offsetMs, isSynced: true };
    return this.#findDate(number, segment);
  }

  #findDate(from: number, first: Segment): { offsetMs: number; isSynced: boolean } | null {
    let segment = first;
    let lastMs = first.baseMs;
    let undatedMs = 0;
    let isSynced = true;
    for (let number = from;;) {
      for (const record of segment.records) {
        if (record.kind === "anchor") return { offsetMs: record.offsetMs - undatedMs, isSynced };
        lastMs = record.uptimeMs;
      }
      const following = this.#ring.segments.get(++number);
      if (following === undefined) return null;
      if (following.boot !== segment.boot) {
        undatedMs += lastMs;
        isSynced = false;
        lastMs = following.baseMs;
      }
      segment = following;
      if (segment.offsetMs !== null) return { offsetMs: segment.offsetMs - undatedMs, isSynced };
      if (segment.boot !== this.boot) continue;
      return this.#firstOffsetMs === null ? null : { offsetMs: this.#firstOffsetMs - undatedMs, isSynced };
    }
  }

  pendingSince(sent: Selection): number | null {
    const covered = (place: number) => sent.start <= place && place < sent.end;
    for (const [from, high] of this.#spans) {
      let low = covered(from) ? sent.end : from;
      while (low < high && !covered(low)) {
        const selection = this.#select(low, high, 1);
        if (selection === null) return null;
        const [first] = selection.slots;
        if (first !== undefined) return first.unixMs;
        low = Math.max(selection.end, low + 1);
      }
    }
    return null;
  }

  /** Lost slots of a boot of which nothing else is left to send. */
  report(): Selection | null {
    const lost = this.#ring.lost.find((span) => !this.#holds(span.boot));
    return lost === undefined ? null : emptySelection(lost.boot, 0, 0);
  }

  #holds(boot: string): boolean {
    if (boot === this.boot) return this.offsetMs !== null;
    return this.tail < this.#ring.nextPlace && this.#ring.segments.get(segmentOf(this.tail))?.boot === boot;
  }

  // ---- answers ----

  acknowledge(selection: Selection): void {
    this.#remove(selection.start, selection.end);
    while (this.#ring.oldest < segmentOf(this.tail) && this.#ring.oldest < this.#ring.newest) {
      this.#ring.removeOldest();
    }
  }

  refuse(selection: Selection): void {
    const seqs = selection.slots.map(({ slot }) => slot.seq);
    this.#ring.addLost(selection.boot, seqs[0] as number, seqs.at(-1) as number, "refused");
    this.acknowledge(selection);
  }

  #remove(start: number, end: number): void {
    const top = (this.#spans.at(-1) as Span)[1];
    const kept: Span[] = this.#spans.flatMap(([low, high]): Span[] => [
      ...(low < start ? [[low, Math.min(high, start)] as Span] : []),
      ...(high > end ? [[Math.max(low, end), high] as Span] : []),
    ]).filter(([low, high]) => low < high);
    if ((kept.at(-1)?.[1] ?? -1) < top) kept.push([top, top]);
    while (kept.length > SPANS_MAX) kept.splice(0, 2, [(kept[0] as Span)[0], (kept[1] as Span)[1]]);
    this.#spans = kept;
  }
}

const emptySelection = (boot: string, start: number, end: number): Selection => ({
  boot,
  previous: null,
  start,
  end,
  isSynced: true,
  slots: [],
});
