/** Appends whole transactions to the tables of a live file, those of each table together. */
import type { DuckDBConnection } from "@duckdb/node-api";
import type { Changes } from "../../core/ports/store.ts";
import type { PositionRow } from "../../core/rows.ts";
import { TableWriter, type Versioned } from "./columns.ts";
import { ReadingWriter } from "./reading_writer.ts";
import {
  alertRuleTable,
  alertStateTable,
  alertTable,
  bootTable,
  deviceTable,
  gapTable,
  positionTable,
  quarantineTable,
  releaseTable,
  type Table,
  windowTable,
} from "./tables.ts";

const writerOf = <Row>(table: Table<Row>) => new TableWriter(table.name, table.columns, true);

export class ChangesWriter {
  readonly #readings = new ReadingWriter();
  readonly #quarantined = writerOf(quarantineTable);
  readonly #released = writerOf(releaseTable);
  readonly #gaps = writerOf(gapTable);
  readonly #windows = writerOf(windowTable);
  readonly #devices = writerOf(deviceTable);
  readonly #boots = writerOf(bootTable);
  readonly #alerts = writerOf(alertTable);
  readonly #alertRules = writerOf(alertRuleTable);
  readonly #alertStates = writerOf(alertStateTable);
  readonly #position = writerOf(positionTable);

  /** Within the caller's transaction; in version order. */
  async append(writer: DuckDBConnection, transactions: readonly Versioned<Changes>[]): Promise<void> {
    const each = <Rows>(rowsOf: (changes: Changes) => Rows) =>
      transactions.map(({ version, rows }) => ({ version, rows: rowsOf(rows) }));
    await this.#readings.appendAll(writer, each((changes) => changes.readings));
    await this.#quarantined.appendAll(writer, each((changes) => changes.quarantined));
    await this.#released.appendAll(writer, each((changes) => changes.released));
    await this.#gaps.appendAll(writer, each((changes) => changes.gaps));
    await this.#windows.appendAll(writer, each((changes) => changes.windows));
    await this.#devices.appendAll(writer, each((changes) => changes.devices));
    await this.#boots.appendAll(writer, each((changes) => changes.boots));
    await this.#alerts.appendAll(writer, each((changes) => changes.alerts.alerts));
    await this.#alertRules.appendAll(writer, each((changes) => changes.alerts.rules));
    await this.#alertStates.appendAll(writer, each((changes) => changes.alerts.states));
    await this.#position.appendAll(writer, each((changes) => [changes.position]));
  }

  /** A position alone. */
  appendPosition(writer: DuckDBConnection, position: PositionRow, version: number): Promise<void> {
    return this.#position.append(writer, [position], version);
  }
}
