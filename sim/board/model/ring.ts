/** The model's flash: segments of slots and anchors, and reports of lost slots. It outlives the model's boots. */

export interface ModelSlot {
  readonly kind: "slot";
  readonly seq: number;
  readonly uptimeMs: number;
  readonly error: "timeout" | "checksum" | "out_of_range" | null;
  readonly flag: string | null;
  readonly temperatureTenthsC: number;
  readonly humidityTenthsPct: number;
  /** The oldest pending place when it was stored. */
  readonly tail: number;
}

export interface Anchor {
  readonly kind: "anchor";
  readonly offsetMs: number;
}

export interface PreviousBoot {
  readonly boot: string;
  readonly slots: number;
}

export interface Segment {
  readonly boot: string;
  readonly previous: PreviousBoot | null;
  readonly firstSeq: number;
  readonly baseMs: number;
  readonly offsetMs: number | null;
  readonly records: (ModelSlot | Anchor)[];
}

export interface LostReport {
  readonly boot: string;
  from: number;
  to: number;
  readonly reason: string;
}

export const RECORDS_MAX = 200;
export const PLACES = 256;
export const segmentOf = (place: number) => Math.floor(place / PLACES);

export class ModelRing {
  /** By number; the oldest first. */
  readonly segments = new Map<number, Segment>();
  lost: LostReport[] = [];
  oldest = 0;
  newest = -1;

  get head(): Segment {
    return this.segments.get(this.newest) as Segment;
  }

  /** Where the next record goes. */
  get nextPlace(): number {
    return this.newest * PLACES + (this.segments.get(this.newest)?.records.length ?? 0);
  }

  create(segment: Segment): void {
    this.segments.set(++this.newest, segment);
  }

  removeOldest(): void {
    if (this.oldest < this.newest) this.segments.delete(this.oldest++);
  }

  /** What the last boot was, and the oldest place that may still be pending. */
  recover(): { previous: PreviousBoot | null; tail: number } {
    const last = this.segments.get(this.newest);
    if (last === undefined) return { previous: null, tail: 0 };
    let tail = this.oldest * PLACES;
    let slots = last.firstSeq;
    for (const record of last.records) {
      if (record.kind !== "slot") continue;
      slots = record.seq + 1;
      tail = Math.max(tail, record.tail);
    }
    return { previous: slots === 0 ? last.previous : { boot: last.boot, slots }, tail };
  }

  addLost(boot: string, from: number, to: number, reason: string): void {
    const near = this.lost.find((span) =>
      span.boot === boot && span.reason === reason && from <= span.to + 1 && to >= span.from - 1
    );
    if (near !== undefined) {
      near.from = Math.min(near.from, from);
      near.to = Math.max(near.to, to);
      return;
    }
    this.lost.push({ boot, from, to, reason });
    if (this.lost.length > 32) this.lost.shift();
  }

  postponeLost(boot: string): void {
    this.lost = [
      ...this.lost.filter((span) => span.boot !== boot),
      ...this.lost.filter((span) => span.boot === boot),
    ];
  }
}
