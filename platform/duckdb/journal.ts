/**
 * The journal: small transactions, each as one row of one table, until they are put into the tables where they belong.
 *
 * A row in its own table costs DuckDB little, a table in a transaction much: an appender plans an INSERT of all columns
 * each time, 1.5 ms of JavaScript's thread for a table, and live readings come in dozens of transactions a second that
 * touch four. One row through a statement that was prepared once costs a tenth. The position is in it too, so a
 * transaction is as durable and as whole as in the tables. What waits is put into them together: before anything is
 * looked up or published, before a large transaction, when it has become much, and at the start after a crash.
 */
import type { DuckDBConnection } from "@duckdb/node-api";
import { assert } from "../../core/assert.ts";
import { type Changes, reusedReadingsMin } from "../../core/ports/store.ts";
import { readRows, type Versioned } from "./columns.ts";
import { packChanges, unpackChanges } from "./journal_text.ts";
import type { LiveFile } from "./live.ts";
import { journalTable, selectList } from "./tables.ts";

/** Rows above which a transaction goes into the tables itself: packing them costs more than planning. */
const TRANSACTION_ROWS_MAX = 500;
assert(TRANSACTION_ROWS_MAX < reusedReadingsMin, "what waits is kept, so its columns must not be used again");
/** Rows that may wait: about 10 MB, put into the tables in 40 ms. */
const WAITING_ROWS_MAX = 20_000;

export class Journal {
  #waiting: Versioned<Changes>[] = [];
  #waitingRows = 0;
  /** Whether what waits up to this version is in the tables can't be told: a reply was lost. Null: it can. */
  #doubtfulVersion: number | null = null;
  #snapshotVersion = 0;
  /** Something was looked up since the last transaction: so it will be after the next. */
  #isLookedUp = false;

  constructor(private readonly live: LiveFile) {}

  /** Committed transactions that are not in the tables. */
  get waiting(): readonly Versioned<Changes>[] {
    return this.#waiting;
  }

  /** Whether a transaction goes here. */
  takes(changes: Changes): boolean {
    const rows = rowsOf(changes);
    const isSmall = rows <= TRANSACTION_ROWS_MAX && rows + this.#waitingRows <= WAITING_ROWS_MAX;
    return isSmall && !this.#isLookedUp;
  }

  /** Makes a transaction durable. It waits from {@link committed} on. */
  async write(changes: Changes, version: number): Promise<void> {
    const text = packChanges(changes);
    await this.live.insert("committing", `INSERT INTO ${journalTable.name} VALUES ($1, $2)`, (statement) => {
      statement.bindBigInt(1, BigInt(version));
      statement.bindVarchar(2, text);
    });
  }

  /** A transaction that was written stands. */
  committed(changes: Changes, version: number): void {
    this.#waiting.push({ version, rows: changes });
    this.#waitingRows += rowsOf(changes);
    this.#isLookedUp = false;
  }

  /** Reads what a process before has left. */
  async restore(): Promise<void> {
    const result = await this.live.writer.stream(
      `SELECT version, ${selectList(journalTable)} FROM ${journalTable.name} ORDER BY version`,
    );
    const rows = await readRows(result, ["int64", "text"], (cells, index) => ({
      version: cells[0]![index] as number,
      text: cells[1]![index] as string,
    }));
    this.#setWaiting(rows.map(({ version, text }) => ({ version, rows: unpackChanges(text) })));
  }

  /** Something is looked up. */
  lookedUp(): void {
    this.#isLookedUp = true;
  }

  /** What is published next is what is committed up to this version. */
  snapshot(version: number): void {
    this.#snapshotVersion = version;
  }

  /** What waits, without the states of devices that newer ones replace before anybody has seen them. */
  unseen(): readonly Versioned<Changes>[] {
    let seen = new Seen();
    let isAfter = true;
    const newestFirst = this.#waiting.toReversed().map(({ version, rows }) => {
      // A snapshot needs the states as of its version.
      if (isAfter && version <= this.#snapshotVersion) [seen, isAfter] = [new Seen(), false];
      return { version, rows: seen.without(rows) };
    });
    return newestFirst.reverse();
  }

  /** Takes what waits out of the journal, in the transaction that puts it into the tables. */
  async clear(writer: DuckDBConnection): Promise<void> {
    const last = this.#waiting.at(-1);
    if (last !== undefined) {
      await writer.run(`DELETE FROM ${journalTable.name} WHERE version <= ${last.version}`);
    }
  }

  #setWaiting(transactions: Versioned<Changes>[]): void {
    this.#waiting = transactions;
    this.#waitingRows = transactions.reduce((sum, { rows }) => sum + rowsOf(rows), 0);
  }

  /** That transaction stands. */
  drained(): void {
    this.#setWaiting([]);
    this.#isLookedUp = false;
    this.#doubtfulVersion = null;
  }

  /** It has failed: whether it stands all the same is asked before the next. */
  doubt(): void {
    this.#doubtfulVersion = this.#waiting.at(-1)?.version ?? null;
  }

  /** Finds out whether a transaction that failed stands. */
  async resolve(): Promise<void> {
    const upTo = this.#doubtfulVersion;
    if (upTo === null) return;
    const left = await this.live.use("committing", async (writer) => {
      const reader = await writer.runAndReadAll(
        `SELECT count(*) FROM ${journalTable.name} WHERE version <= ${upTo}`,
      );
      return Number(reader.getRows()[0]![0]);
    });
    if (left === 0) {
      // What has been committed since still waits.
      this.#setWaiting(this.#waiting.filter(({ version }) => version > upTo));
    }
    this.#doubtfulVersion = null;
  }
}

/** States of devices and boots that newer ones replace. */
class Seen {
  readonly #devices = new Set<string>();
  readonly #boots = new Set<string>();
  readonly #states = new Set<string>();

  /** Transactions come newest first. */
  without(changes: Changes): Changes {
    const devices = changes.devices.filter(({ device }) => isNew(this.#devices, device));
    const boots = changes.boots.filter(({ device, boot }) => isNew(this.#boots, `${boot} ${device}`));
    const states = changes.alerts.states.filter(({ device }) => isNew(this.#states, device));
    return { ...changes, devices, boots, alerts: { ...changes.alerts, states } };
  }
}

function isNew(seen: Set<string>, key: string): boolean {
  const before = seen.size;
  return seen.add(key).size > before;
}

function rowsOf({ readings, quarantined, released, gaps, windows, devices, boots, alerts }: Changes): number {
  const { length } = alerts.alerts;
  return readings.length + quarantined.length + released.length + gaps.length + windows.length +
    devices.length + boots.length + length + alerts.rules.length + alerts.states.length;
}
