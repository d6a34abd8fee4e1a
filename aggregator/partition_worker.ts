/**
 * The one loop that turns a partition's records into committed and published rows. It only moves data: what a record
 * means is decided by `core/partition.ts`, synchronously, between two awaits of this file.
 *
 * Three things go on side by side: the newest records are read and judged while the transaction before them is committed
 * and an earlier state is published. Whatever needs the fold to be what is committed waits for the transaction first.
 *
 * A crash at any await is harmless: the position lives in the store, in the same transaction as the rows. On the way
 * back the record before the position is read again and compared, so that another log is never taken for this one.
 */
import { assert, AssertionFailed } from "../core/assert.ts";
import { type DeviceView, Partition } from "../core/partition.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { LiveFeed } from "../core/ports/live_feed.ts";
import { type LogReader, LogRefused, LogUnavailable, type LogWriter } from "../core/ports/log.ts";
import type { Metrics } from "../core/ports/metrics.ts";
import type { OpenWindows, Publisher } from "../core/ports/publisher.ts";
import {
  type Changes,
  PartitionTaken,
  type RowsConfig,
  type Store,
  StoreRefused,
  StoreUnavailable,
} from "../core/ports/store.ts";
import type { Trace } from "../core/ports/trace.ts";
import type { PositionRow } from "../core/rows.ts";
import { findMarked, firstOf, recordAt, type Records } from "../core/records.ts";
import { headerNames } from "../core/schema.ts";
import type { AlertPort } from "./alert_desk.ts";
import type { PartitionAlerts } from "./alerts_answer.ts";
import type { AggregatorConfig } from "./config.ts";
import { around, type ExplainQuery, explanation } from "./explain.ts";
import { ControlRecords } from "./control_records.ts";
import { configHash, recordHash } from "./hashes.ts";
import { PublishPace } from "./publish_pace.ts";
import { Recognition } from "./recognition.ts";
import { Teller } from "./teller.ts";
import { TallyMetrics } from "./worker_metrics.ts";

export interface WorkerPorts {
  readonly reader: LogReader;
  readonly writer: LogWriter;
  readonly clock: Clock;
  readonly trace: Trace;
  readonly metrics: Metrics;
  readonly live: LiveFeed;
  /** Gives the rules of alerts, and is told what they have decided; null: neither. */
  readonly alerts?: AlertPort | null;
  /**
   * Opens one partition's store; its publisher if rows are to be published. A store that can't make rows of another
   * configuration anew beside the old ones gives the old state, and the worker refuses it.
   */
  openPartition(
    partition: number,
    rows: RowsConfig,
  ): Promise<{ readonly store: Store; readonly publisher: Publisher | null }>;
}

/**
 * `stopped`: a person has to act, `sentence` says how. `waiting`: the log or the store is away for now. `superseded`:
 * another worker has taken the partition, which is no more ours unless the log still says so after a while.
 */
export type WorkerState = "starting" | "running" | "waiting" | "stopped" | "superseded" | "released";

export interface WorkerStatus {
  readonly partition: number;
  readonly state: WorkerState;
  readonly sentence: string | null;
  readonly nextOffset: number;
  readonly appendHighMs: number;
  readonly openWindows: number;
  /** Offset of the owner record that counts; −1 before the first. */
  readonly epoch: number;
  /** Where the log ended when it was looked at last. */
  readonly endOffset: number;
  readonly devices: number;
  /** Lowest of the devices that have open windows, null if none has. */
  readonly watermarkMs: number | null;
  /** Wall time of the last transaction of this process; null before the first. */
  readonly committedMs: number | null;
  /** What this process has published last. */
  readonly published:
    | { readonly nextOffset: number; readonly generation: number; readonly atMs: number }
    | null;
  /** The least time from one publication to the next: as configured, or longer, see `publish_pace.ts`. */
  readonly publishEveryMs: number;
}

/** The endpoints' answer to what this worker can't tell now. */
export class WorkerUnavailable extends Error {
  override name = "WorkerUnavailable";
}

const RETRY_FIRST_MS = 250;
const RETRY_MAX_MS = 5_000;
/** While the log is being caught up its end is looked at so often. */
const END_EVERY_MS = 1_000;
/** A read of fewer records has come to the log's end. */
const LARGE_READ_RECORDS = 500;

export class PartitionWorker {
  #state: WorkerState = "starting";
  #sentence: string | null = null;
  #fold: Partition | null = null;
  #store: Store | null = null;
  #publisher: Publisher | null = null;
  /** Offset of our own owner record; a later one of somebody else ends our ownership. */
  #ownerOffset = -1;
  /** Records that are folded and not taken into a transaction, the first of them when, and the hash of the last. */
  #held = 0;
  #heldSinceMs = 0;
  #lastHash: string | null = null;
  /** The transaction under way; false if it was given up. Never rejects, see {@link #failure}. */
  #committing: Promise<boolean> | null = null;
  /** What is committed, which may be behind the fold by one transaction. */
  #committed: { readonly nextOffset: number; readonly appendHighMs: number } | null = null;
  /** The publication under way. Never rejects. */
  #publishing: Promise<void> | null = null;
  /** Why the last publication did not succeed; it is tried again. */
  #publishProblem: string | null = null;
  /** What ended a transaction or publication that nobody waited for. */
  #failure: { readonly error: unknown } | null = null;
  #isPublished = true;
  readonly #pace: PublishPace;
  #tickDueMs = 0;
  #endOffset = 0;
  #endDueMs = 0;
  /** Offset of the rules that we have recorded last. */
  #rulesOffset = -1;
  #committedMs: number | null = null;
  #published: WorkerStatus["published"] = null;
  readonly #tally: TallyMetrics;
  readonly #control: ControlRecords;
  readonly #teller: Teller;

  constructor(
    readonly partition: number,
    readonly ports: WorkerPorts,
    readonly config: AggregatorConfig,
  ) {
    this.#tally = new TallyMetrics(ports.metrics);
    this.#control = new ControlRecords(ports.writer, partition);
    this.#teller = new Teller(ports);
    this.#pace = new PublishPace(config.publishEveryMs);
  }

  status(): WorkerStatus {
    const cannotPublish = this.#state === "running" && this.#publishProblem !== null;
    return {
      partition: this.partition,
      state: cannotPublish ? "waiting" : this.#state,
      sentence: cannotPublish ? this.#publishProblem : this.#sentence,
      nextOffset: this.#committed?.nextOffset ?? 0,
      appendHighMs: this.#committed?.appendHighMs ?? 0,
      openWindows: this.#fold?.openWindowCount ?? 0,
      epoch: this.#fold?.epoch ?? -1,
      endOffset: Math.max(this.#endOffset, this.#committed?.nextOffset ?? 0),
      devices: this.#fold?.deviceCount ?? 0,
      watermarkMs: this.#fold?.lowestWatermarkMs ?? null,
      committedMs: this.#committedMs,
      published: this.#published,
      publishEveryMs: this.#pace.intervalMs,
    };
  }

  /** Every device (or those named) as it stands, drawn when it is read. */
  views(names: readonly string[] | null): Iterable<DeviceView> {
    return this.#fold?.views(names) ?? [];
  }

  /** What the rules of alerts say; nothing while the partition is not folded. */
  alerts(): PartitionAlerts {
    const alerts = this.#fold?.alerts;
    return { rules: alerts?.rules ?? [], firing: alerts?.firing() ?? [] };
  }

  /** What made a window, as JSON. Rejects with {@link WorkerUnavailable} or what the store says. */
  async explain(query: ExplainQuery): Promise<Record<string, unknown>> {
    const { device, spec, window } = query;
    const store = this.#readable();
    const span = around(window);
    const known = await store.lookup({
      readings: [{ device, fromMs: span.startMs, toMs: span.endMs }],
      windows: [{ device, windowSize: spec.label, startMs: window.startMs }],
      allVersions: true,
    });
    const fold = this.#fold;
    if (fold === null) throw new WorkerUnavailable(`partition ${this.partition} has just been given up`);
    const { partition } = this;
    const hasLostSlots = fold.hasLostIn(device, window);
    const { nextOffset, appendHighMs } = this.#committed ?? fold;
    const [view = null] = fold.views([device]);
    const facts = { partition, nextOffset, appendHighMs, view, known, hasLostSlots };
    return explanation(query, facts, this.config.judge);
  }

  #readable(): Store {
    if (this.#store !== null && this.#fold !== null && this.#isWorking()) return this.#store;
    const sentence = this.#sentence === null ? "" : `: ${this.#sentence}`;
    throw new WorkerUnavailable(`partition ${this.partition} is ${this.#state}${sentence}`);
  }

  /** Works until `signal` aborts or a person has to act; what is committed then is published. Rejects on our own bugs. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      await this.#start(signal);
      while (!signal.aborted && this.#isWorking()) await this.#step(signal);
      await this.#commitLast();
      await this.#settle();
    } catch (error) {
      if (!(error instanceof LogRefused || error instanceof StoreRefused)) throw error;
      if (error instanceof PartitionTaken) this.#supersede(error.message);
      else this.#stop(error.message);
    } finally {
      await this.#finish();
    }
  }

  #isWorking(): boolean {
    return this.#state !== "stopped" && this.#state !== "superseded" && this.#state !== "released";
  }

  #stop(sentence: string): void {
    this.#state = "stopped";
    this.#sentence = sentence;
    this.ports.trace.emit("error", "aggregator.stopped", { partition: this.partition, sentence });
  }

  #supersede(sentence: string): void {
    this.#state = "superseded";
    this.#sentence = sentence;
    this.ports.trace.emit("info", "aggregator.superseded", { partition: this.partition, sentence });
  }

  async #finish(): Promise<void> {
    try {
      await this.#committing;
      await this.#publishing;
      // Once another worker has taken it, that one's publications count: ours would be refused.
      const isOurs = this.#state !== "superseded";
      if (this.#fold !== null && this.#failure === null && isOurs) await this.#publish();
      if (this.#failure?.error instanceof AssertionFailed) throw this.#failure.error;
    } finally {
      await this.#publisher?.close();
      await this.#store?.close();
      this.ports.alerts?.released(this.partition);
      if (this.#isWorking()) this.#state = "released";
    }
  }

  // --- start -------------------------------------------------------------------------------------------------------

  async #start(signal: AbortSignal): Promise<void> {
    const { partitions } = this.ports.reader;
    const { judge } = this.config;
    const recognition = new Recognition(this.ports, judge, this.partition);
    const rows = recognition.rowsConfig();
    const opened = await this.#retried(signal, () => this.ports.openPartition(this.partition, rows));
    if (opened === undefined) return;
    [this.#store, this.#publisher] = [opened.store, opened.publisher];
    const { store } = opened;
    const stored = await this.#retried(signal, () => store.load(Partition.openFrom(judge)));
    if (stored === undefined) return;
    const storedHash = stored.position?.configHash ?? rows.config.hash;
    if (storedHash !== rows.config.hash) throw recognition.otherConfig(storedHash);
    this.#fold = Partition.restore(judge, this.partition, partitions, stored);
    this.#committed = stored.position;
    this.ports.alerts?.took(this.partition, stored.alerts.newest);
    await this.#retried(signal, () => this.#recognise(recognition, stored.position));
    if (!this.#isWorking()) return;
    if (!this.config.replay) await this.#retried(signal, () => this.#takeOwnership());
    this.#isPublished = stored.position === null;
    if (this.#state === "starting") this.#state = "running";
  }

  async #recognise(recognition: Recognition, position: PositionRow | null): Promise<void> {
    const recognised = await recognition.recognise(position, this.config.readWaitMs);
    if (recognised.kind === "revoked") {
      this.#state = "released";
      return;
    }
    this.#endOffset = recognised.nextOffset;
    if (recognised.kind === "gap") this.#skipGap(position?.nextOffset ?? 0, recognised.earliest);
  }

  #skipGap(fromOffset: number, earliest: number): void {
    if (!this.config.acceptGap) {
      throw new LogRefused(
        `records ${fromOffset} to ${
          earliest - 1
        } of partition ${this.partition} have expired in the log before they ` +
          "were read: their readings are gone from it. Start with --accept-gap to go on with what is left",
      );
    }
    this.#fold!.skipTo(earliest);
    const fields = { partition: this.partition, fromOffset, toOffset: earliest - 1 };
    this.ports.trace.emit("warn", "aggregator.gap_accepted", fields);
  }

  async #takeOwnership(): Promise<void> {
    this.#ownerOffset = (await this.#control.owner(this.config.worker)).offset;
  }

  /** Puts the rules of alerts into the log when they differ from those in force, once everything in it is folded. */
  async #recordRules(): Promise<void> {
    const [fold, text] = [this.#fold, this.ports.alerts?.rules() ?? null];
    if (text === null || fold === null || this.config.replay || text === fold.alerts.text) return;
    if (this.#endOffset > fold.nextOffset || this.#rulesOffset >= fold.nextOffset) return;
    this.#rulesOffset = (await this.#control.rules(text)).offset;
  }

  // --- step --------------------------------------------------------------------------------------------------------

  async #step(signal: AbortSignal): Promise<void> {
    const records = await this.#retried(signal, () => this.#read(signal));
    if (this.#failure !== null) throw this.#failure.error;
    if (records === undefined || this.#fold === null || signal.aborted || !this.#isWorking()) return;
    if (records.length > 0) await this.#foldRead(records, signal);
    else if (this.#held > 0) await this.#commitHeld(signal);
    else await this.#retried(signal, () => this.#tickIfDue());
    await this.#retried(signal, () => this.#lookAtEnd(records.length));
    await this.#retried(signal, () => this.#recordRules());
    if (this.#fold !== null) this.#teller.tellIfDue(this.#fold);
    // What is held is committed after the next read, since a publication is due: it shows the fold as it is committed.
    if (this.#untilPublishMs() > 0 || this.#held > 0) return;
    if (await this.#settle() && this.#fold !== null) {
      const drawn = Promise.withResolvers<void>();
      this.#publishing = this.#publish(drawn.resolve).finally(() => this.#publishing = null);
      await Promise.race([drawn.promise, this.#publishing]);
    }
  }

  /** How long until a publication is due; Infinity if there is nothing to publish, or one is under way. */
  #untilPublishMs(): number {
    if (this.#isPublished || this.#publishing !== null) return Infinity;
    return this.#pace.waitMs(this.ports.clock.monotonicMs());
  }

  /** Waits for the transaction under way: everything taken from the fold is committed then. False if it was given up. */
  async #settle(): Promise<boolean> {
    const isKept = await this.#committing ?? true;
    this.#committing = null;
    if (this.#failure !== null) throw this.#failure.error;
    return isKept;
  }

  async #read(signal: AbortSignal): Promise<Records> {
    const limits = {
      blocks: true,
      recordsMax: Math.min(this.config.recordsPerReadMax, this.config.recordsPerCommitMax - this.#held),
      bytesMax: this.config.bytesPerReadMax,
      waitMs: this.#waitMs(),
      signal,
    };
    const { nextOffset } = this.#fold!;
    const outcome = await this.ports.reader.read(this.partition, nextOffset, limits);
    switch (outcome.kind) {
      case "records":
        return outcome.records;
      case "block":
        return outcome.block;
      case "revoked":
        // Nothing for a person to do: another worker has it, and `Assignments.revoked` says so too.
        this.#state = "released";
        return [];
      case "expired":
        this.#skipGap(nextOffset, outcome.earliest);
        return [];
      case "beyond_end":
        throw new LogRefused(
          `partition ${this.partition} of the log ends at ${outcome.next}, but rows up to ${nextOffset} are stored: ` +
            "it was truncated or re-created while it was read. Bring the old log back",
        );
    }
  }

  /** A read waits until something else is to be done. */
  #waitMs(): number {
    const untilTell = this.#teller.waitMs(this.#fold!);
    const untils = [this.#untilPublishMs(), untilTell, this.#untilCommitMs()];
    return Math.max(0, Math.min(this.config.readWaitMs, ...untils));
  }

  /** Keeps up with where the log ends. A small read has come to the end. */
  async #lookAtEnd(recordCount: number): Promise<void> {
    const { clock, reader } = this.ports;
    if (this.#fold === null) return;
    const isCatchingUp = recordCount > 0 && this.#endOffset > this.#fold.nextOffset;
    const { recordsPerReadMax, recordsPerCommitMax } = this.config;
    const isLarge = recordCount >= Math.min(LARGE_READ_RECORDS, recordsPerReadMax, recordsPerCommitMax);
    if (!isCatchingUp && !isLarge) {
      this.#endOffset = this.#fold.nextOffset;
      return;
    }
    if (clock.monotonicMs() < this.#endDueMs) return;
    this.#endDueMs = clock.monotonicMs() + END_EVERY_MS;
    this.#endOffset = (await reader.range(this.partition)).next;
  }

  /** Folds what was read, and commits unless more is to come that can go into the same transaction. */
  async #foldRead(records: Records, signal: AbortSignal): Promise<void> {
    const fold = this.#fold!;
    const prepared = fold.prepare(this.#ownRecords(records));
    const { readings, windows } = prepared.needs;
    const isKnown = readings.length + windows.length === 0;
    if (!isKnown && !await this.#settle()) return; // what is looked up includes everything before
    const known = isKnown
      ? { readings: [], quarantined: [], windows: [] }
      : await this.#retried(signal, () => this.#store!.lookup(prepared.needs));
    if (known === undefined) return;
    if (prepared.last !== null) {
      const rowsBefore = fold.untakenRows;
      fold.apply(prepared, known);
      if (this.#held === 0) this.#heldSinceMs = this.ports.clock.monotonicMs();
      this.#held += prepared.length;
      this.#lastHash = recordHash(prepared.last);
      if (!this.#isHolding(fold, fold.untakenRows - rowsBefore)) await this.#commitHeld(signal);
    }
    if (prepared.stop === null) return;
    if (this.#held > 0) await this.#commitHeld(signal);
    await this.#settle();
    this.#stop(prepared.stop);
  }

  /** Whether the transaction takes in the next read too, which makes about as many rows as this one. */
  #isHolding(fold: Partition, rowsOfRead: number): boolean {
    const { recordsPerCommitMax, rowsPerCommitMax } = this.config;
    return fold.nextOffset < this.#endOffset && this.#held < recordsPerCommitMax &&
      fold.untakenRows + rowsOfRead <= rowsPerCommitMax &&
      this.#untilCommitMs() > 0 && this.#untilPublishMs() > 0;
  }

  /** How long what is folded may wait for more before it is committed; Infinity if nothing does. */
  #untilCommitMs(): number {
    if (this.#held === 0) return Infinity;
    return this.#heldSinceMs + this.config.commitEveryMs - this.ports.clock.monotonicMs();
  }

  /** Begins to commit what is folded. */
  async #commitHeld(signal: AbortSignal): Promise<void> {
    if (this.#fold === null) return; // the transaction before was given up
    const { partitions } = this.ports.reader;
    const taken = this.#fold.takeChanges(this.#lastHash, configHash(this.config.judge, partitions));
    const recordCount = this.#held;
    this.#held = 0;
    // Ours from the first transaction on, not only once the fold has come to our owner record.
    const epoch = Math.max(taken.position.epoch, this.#ownerOffset);
    const changes = { ...taken, position: { ...taken.position, epoch } };
    if (await this.#settle()) this.#committing = this.#keep(changes, recordCount, signal);
  }

  /** Commits what is folded once more before the end; tried once. */
  async #commitLast(): Promise<void> {
    if (this.#held === 0) return;
    const once = new AbortController();
    await this.#commitHeld(once.signal);
    once.abort();
  }

  /** Commits until it is kept or we end: the fold has moved on, so there is no way past it. Never rejects. */
  async #keep(changes: Changes, recordCount: number, signal: AbortSignal): Promise<boolean> {
    try {
      if (await this.#retried(signal, () => this.#commit(changes, recordCount)) === true) return true;
    } catch (error) {
      this.#failure = { error };
    }
    this.#fold = null;
    return false;
  }

  /** Records up to another worker's later owner record, which ends our ownership. */
  #ownRecords(records: Records): Records {
    if (this.config.replay) return records;
    const end = findMarked(
      records,
      ({ offset, headers }) => offset > this.#ownerOffset && headers[headerNames.kind] === "owner",
    );
    if (end < 0) return records;
    this.#supersede(`it was taken by another worker (owner record ${recordAt(records, end).offset})`);
    return firstOf(records, end);
  }

  async #commit(changes: Changes, recordCount: number): Promise<true> {
    const { clock, metrics, live, reader } = this.ports;
    const startedMs = clock.monotonicMs();
    await this.#store!.commit(changes);
    this.#pace.committed(startedMs, this.#isPublished);
    this.#isPublished = false;
    const labels = { partition: String(this.partition) };
    metrics.observe("isotherm_commit_seconds", (clock.monotonicMs() - startedMs) / 1_000, labels);
    metrics.count("isotherm_records_folded_total", recordCount, labels);
    metrics.count("isotherm_window_versions_total", changes.windows.length, labels);
    if (this.#fold !== null) this.#tally.count(this.#fold.tally);
    this.#committedMs = clock.nowMs();
    this.#committed = changes.position;
    this.#fold?.reuse(changes);
    for (const row of changes.windows) live.emit({ kind: "window", row, open: false });
    this.ports.alerts?.committed(this.partition, changes.alerts.alerts);
    reader.hint(this.partition, changes.position.nextOffset);
    return true;
  }

  /** Appends a tick when silence should have closed a window by our own clock, and the log itself has stood still. */
  async #tickIfDue(): Promise<void> {
    if (this.config.replay) return;
    const dueMs = this.#fold!.nextDueMs();
    const nowMs = this.ports.clock.nowMs();
    if (nowMs < dueMs + this.config.tickAfterMs || nowMs < this.#tickDueMs) return;
    const { appendMs } = await this.#control.tick();
    // A log whose clock is behind ours would close nothing yet: wait for it instead of filling it with ticks.
    this.#tickDueMs = nowMs + Math.max(this.config.tickAfterMs, dueMs - appendMs);
  }

  /**
   * Publishes what is committed; tried again later when it fails. Never rejects, see {@link #failure}. `drawn`: told
   * when the fold may go on.
   */
  async #publish(drawn: () => void = () => {}): Promise<void> {
    const { clock, metrics } = this.ports;
    assert(this.#fold !== null, "what is published was folded");
    if (this.#isPublished) return;
    this.#isPublished = true;
    if (this.#publisher === null) return;
    const startedMs = clock.monotonicMs();
    const labels = { partition: String(this.partition) };
    try {
      const manifest = await this.#publisher.publish(
        drawnOnce(this.#fold.openWindows(), drawn),
        clock.nowMs(),
      );
      const mine = manifest.partitions.find(({ partition }) => partition === this.partition);
      if (mine !== undefined) {
        const { nextOffset } = mine;
        this.#published = { nextOffset, generation: manifest.generation, atMs: manifest.publishedMs };
        this.ports.reader.settled(this.partition, nextOffset);
      }
      this.#publishProblem = null;
      const endedMs = clock.monotonicMs();
      this.#pace.published(startedMs, endedMs);
      metrics.observe("isotherm_publish_seconds", (endedMs - startedMs) / 1_000, labels);
    } catch (error) {
      this.#isPublished = false;
      if (error instanceof StoreUnavailable) {
        this.#publishProblem = error.message;
        this.#pace.failed(clock.monotonicMs(), RETRY_MAX_MS);
      } else this.#failure ??= { error };
      const message = error instanceof Error ? error.message : String(error);
      metrics.count("isotherm_publish_failures_total", 1, labels);
      this.ports.trace.emit("warn", "aggregator.publish_failed", { partition: this.partition, message });
    }
  }

  // --- failures of the world ---------------------------------------------------------------------------------------

  /** Repeats `attempt` while the log or the store is away; undefined when `signal` aborts before it succeeds. */
  async #retried<T>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T | undefined> {
    for (let waitMs = RETRY_FIRST_MS; !signal.aborted; waitMs = Math.min(2 * waitMs, RETRY_MAX_MS)) {
      try {
        const result = await attempt();
        if (this.#state === "waiting") {
          this.#state = "running";
          this.#sentence = null;
        }
        return result;
      } catch (error) {
        if (!(error instanceof LogUnavailable || error instanceof StoreUnavailable)) throw error;
        if (this.#isWorking()) {
          this.#state = "waiting";
          this.#sentence = error.message;
        }
        const fields = { partition: this.partition, message: error.message, retryMs: waitMs };
        this.ports.trace.emit("warn", "aggregator.waiting", fields);
        await this.ports.clock.sleep(waitMs, signal);
      }
    }
    return undefined;
  }
}

/** The same open windows; says when they have been drawn. */
function drawnOnce(open: OpenWindows, drawn: () => void): OpenWindows {
  return {
    ...open,
    *draw(which) {
      try {
        yield* open.draw(which);
      } finally {
        drawn();
      }
    },
  };
}
