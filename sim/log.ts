/**
 * The simulated log: what `platform/kafka/log.ts` is to the real world, in memory, in virtual time, with faults drawn
 * from a seeded source. With no faults it keeps the contract of every log (`core/testing/log_contract.ts`).
 *
 * One {@link SimLog} is the broker; each {@link SimLog.open} is one process's pair of ends. Readers form a group among
 * which partitions are spread as Kafka spreads them: all are revoked, then all are given out. A zombie is a member that
 * hears of it late: it goes on reading what is no longer its own.
 *
 * The faults are those that were seen on a real broker (`retry` of an unanswered send, a restart, a set clock), not
 * those that the port excludes: the log never loses what it acknowledged, and never changes a record.
 */
import { assert } from "../core/assert.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Appended, Log, LogRecord, NewRecord, ReadLimits, ReadOutcome } from "../core/ports/log.ts";
import { below, chance, type Random } from "../core/ports/random.ts";
import { noLogFaults, type SimLogFaultName, type SimLogFaults } from "./log_faults.ts";
import { Group } from "./log_group.ts";
import { SimReader } from "./log_reader.ts";
import { SimWriter } from "./log_writer.ts";

export interface SimLogOptions {
  readonly partitions: number;
  readonly clock: Clock;
  /** One source for everything, or one for each purpose. */
  readonly random: Random | ((purpose: string) => Random);
  readonly faults?: SimLogFaults;
  /** Bound of each writer's queue (default 32 MiB). */
  readonly queueBytesMax?: number;
  /** An append is refused when it has waited so long (default 5 s). */
  readonly deadlineMs?: number;
}

/** One process's ends of the log. */
export interface SimLogEnds extends Log {
  /** The process dies: nothing is answered any more; a commit under way may be stored or not. */
  kill(): void;
}

interface Stored {
  earliest: number;
  /** The first record has offset `base`. */
  base: number;
  records: LogRecord[];
}

export class SimLog {
  readonly partitions: number;
  readonly #options: SimLogOptions;
  readonly #random: (purpose: string) => Random;
  readonly #clock: Clock;
  #faults: SimLogFaults;
  #stored: Stored[];
  #isDown = false;
  #clockErrorMs = 0;
  #commitCount = 0;
  #faultCounts = new Map<SimLogFaultName, number>();
  readonly #group: Group;
  readonly #readers = new Set<SimReader>();

  constructor(options: SimLogOptions) {
    assert(options.partitions >= 1, "a log has a partition");
    this.#options = options;
    this.partitions = options.partitions;
    this.#clock = options.clock;
    const { random } = options;
    this.#random = typeof random === "function" ? random : () => random;
    this.#faults = options.faults ?? noLogFaults;
    this.#stored = emptyPartitions(options.partitions);
    this.#group = new Group(options.partitions, options.clock, () => this.drawSlowMs("zombie"));
  }

  /** The ends of one more process. */
  open(): SimLogEnds {
    const writer = new SimWriter(this, this.#options);
    const reader = new SimReader(this, this.#group, this.#clock);
    this.#readers.add(reader);
    return {
      writer,
      reader,
      async close() {
        await writer.close();
        await reader.close();
      },
      kill: () => {
        writer.kill();
        reader.kill();
        this.#readers.delete(reader);
      },
    };
  }

  /** From now on these faults are drawn; {@link noLogFaults} begins the quiet phase. The append clock is set right. */
  setFaults(faults: SimLogFaults): void {
    this.#faults = faults;
    if (faults.clockStep === 0) this.#clockErrorMs = 0;
  }

  /** How often each fault has happened. */
  faultCounts(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#faultCounts].sort(([a], [b]) => a < b ? -1 : 1));
  }

  /** Commits made so far. */
  commits(): number {
    return this.#commitCount;
  }

  /** Takes the broker down or up: a broker that is down takes and gives nothing. */
  setDown(isDown: boolean): void {
    this.#isDown = isDown;
  }

  isDown(): boolean {
    return this.#isDown;
  }

  /** Everything a partition keeps, in order: for the oracle, and as a tape. */
  records(partition: number): readonly LogRecord[] {
    const { base, earliest, records } = this.#partition(partition);
    return records.slice(earliest - base);
  }

  range(partition: number): { readonly earliest: number; readonly next: number } {
    const { base, earliest, records } = this.#partition(partition);
    return { earliest, next: base + records.length };
  }

  /** Removes the records below `offset`, as retention does. */
  expire(partition: number, offset: number): void {
    const stored = this.#partition(partition);
    assert(offset <= stored.base + stored.records.length, "what expires was there");
    stored.earliest = Math.max(stored.earliest, offset);
  }

  /** Cuts a partition off: `next` is the offset that the next record gets. A wrong log, which a worker has to refuse. */
  truncate(partition: number, next: number): void {
    const stored = this.#partition(partition);
    stored.records.length = Math.max(0, next - stored.base);
  }

  /** Puts another, empty log in this one's place. */
  recreate(): void {
    this.#stored = emptyPartitions(this.partitions);
  }

  /** Plays a tape: records as another log kept them, with their offsets and append times. */
  load(partition: number, records: readonly LogRecord[]): void {
    const stored = this.#partition(partition);
    assert(stored.records.length === 0, "a tape goes into an empty partition");
    const first = records[0]?.offset ?? 0;
    records.forEach((record, i) => assert(record.offset === first + i, "a simulated log has no gaps"));
    stored.base = stored.earliest = first;
    stored.records.push(...records);
    this.wakeReaders();
  }

  /** Rebalances the group now. Resolves when every member has been told. */
  rebalance(): Promise<void> {
    return this.#group.rebalance();
  }

  // What the ends use.

  draw(fault: SimLogFaultName): boolean {
    const perThousand = this.#faults[fault];
    if (perThousand === 0 || !chance(this.#random(fault), perThousand, 1_000)) return false;
    this.#faultCounts.set(fault, (this.#faultCounts.get(fault) ?? 0) + 1);
    return true;
  }

  below(bound: number, purpose: string): number {
    return below(this.#random(purpose), bound);
  }

  drawSlowMs(fault: SimLogFaultName): number {
    return this.draw(fault) ? 1 + this.below(Math.max(1, this.#faults.slowMsMax), fault) : 0;
  }

  /** Stores records under one append time. */
  store(records: readonly NewRecord[]): Appended[] {
    if (this.draw("clockStep")) {
      const max = this.#faults.clockStepMsMax;
      this.#clockErrorMs = this.below(2 * max + 1, "clockStep") - max;
    }
    const appendMs = Math.floor(this.#clock.nowMs()) + this.#clockErrorMs;
    this.#commitCount++;
    const places = records.map(({ partition, key, value, headers }) => {
      const stored = this.#partition(partition);
      const offset = stored.base + stored.records.length;
      const copy = value === null ? null : value.slice();
      stored.records.push({ partition, offset, appendMs, key, value: copy, headers: { ...headers } });
      return { partition, offset, appendMs };
    });
    this.wakeReaders();
    if (this.draw("rebalance")) void this.#group.rebalance();
    return places;
  }

  fetch(partition: number, offset: number, limits: ReadLimits): ReadOutcome {
    const { earliest, next } = this.range(partition);
    if (offset < earliest) return { kind: "expired", earliest };
    if (offset > next) return { kind: "beyond_end", next };
    const { base, records } = this.#partition(partition);
    let recordsMax = Math.min(Math.max(1, limits.recordsMax), next - offset);
    if (recordsMax > 1 && this.draw("shortRead")) recordsMax = 1 + this.below(recordsMax - 1, "shortRead");
    const found: LogRecord[] = [];
    let bytes = 0;
    while (found.length < recordsMax && (found.length === 0 || bytes < limits.bytesMax)) {
      const record = records[offset - base + found.length]!;
      found.push(record);
      bytes += record.value?.length ?? 0;
    }
    return { kind: "records", records: found };
  }

  wakeReaders(): void {
    for (const reader of this.#readers) reader.wake();
  }

  #partition(partition: number): Stored {
    const stored = this.#stored[partition];
    assert(stored !== undefined, "a partition of the log");
    return stored;
  }
}

const emptyPartitions = (count: number): Stored[] =>
  Array.from({ length: count }, () => ({ earliest: 0, base: 0, records: [] }));
