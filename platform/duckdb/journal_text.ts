/**
 * One transaction's rows as text, for `journal.ts`: 20 devices' readings and states in 2 KiB instead of 8.
 *
 * JSON: the texts of all cells once, then for each table that has rows their number and its columns in the order of
 * `tables.ts`. A column whose cells are all the same is that cell. Otherwise it is a list in which a number stands
 * as its difference from the number before it in the column (in quotation marks: itself, where the difference would not
 * be exact), a text as its place among the texts, likewise.
 */
import { assert } from "../../core/assert.ts";
import type { Changes } from "../../core/ports/store.ts";
import type { Cell, Kind } from "./column_buffer.ts";
import {
  alertRuleTable,
  alertStateTable,
  alertTable,
  bootTable,
  deviceTable,
  gapTable,
  positionTable,
  quarantineTable,
  readingTable,
  releaseTable,
  type Table,
  windowTable,
} from "./tables.ts";

type Packed = string | number | boolean | null;
/** A list is told apart from a cell by being one. */
type Column = Packed | readonly Packed[];
interface Text {
  readonly texts: readonly string[];
  /** By table: how many rows, then the columns. */
  readonly tables: Readonly<Record<string, readonly [number, ...Column[]]>>;
}

/** The text of a transaction. */
export function packChanges(changes: Changes): string {
  const packer = new Packer();
  packer.add(readingTable, [...changes.readings]);
  packer.add(quarantineTable, changes.quarantined);
  packer.add(releaseTable, changes.released);
  packer.add(gapTable, changes.gaps);
  packer.add(windowTable, changes.windows);
  packer.add(deviceTable, changes.devices);
  packer.add(bootTable, changes.boots);
  packer.add(alertTable, changes.alerts.alerts);
  packer.add(alertRuleTable, changes.alerts.rules);
  packer.add(alertStateTable, changes.alerts.states);
  packer.add(positionTable, [changes.position]);
  return packer.text();
}

/** The transaction of a text. */
export function unpackChanges(packed: string): Changes {
  const text = JSON.parse(packed) as Text;
  const [position] = rowsOf(text, positionTable);
  assert(position !== undefined, "a transaction has a position");
  return {
    position,
    readings: rowsOf(text, readingTable),
    quarantined: rowsOf(text, quarantineTable),
    released: rowsOf(text, releaseTable),
    gaps: rowsOf(text, gapTable),
    windows: rowsOf(text, windowTable),
    devices: rowsOf(text, deviceTable),
    boots: rowsOf(text, bootTable),
    alerts: {
      alerts: rowsOf(text, alertTable),
      rules: rowsOf(text, alertRuleTable),
      states: rowsOf(text, alertStateTable),
    },
  };
}

class Packer {
  readonly #places = new Map<string, number>();
  readonly #tables: Record<string, readonly [number, ...Column[]]> = {};

  add<Row>(table: Table<Row>, rows: readonly Row[]): void {
    if (rows.length === 0) return;
    this.#tables[table.name] = [
      rows.length,
      ...table.columns.map(({ kind, get }) => this.#column(kind, rows, get)),
    ];
  }

  text(): string {
    const text: Text = { texts: [...this.#places.keys()], tables: this.#tables };
    return JSON.stringify(text);
  }

  #column<Row>(kind: Kind, rows: readonly Row[], get: (row: Row) => Cell): Column {
    const cells = rows.map((row) => this.#packed(kind, get(row)));
    if (cells.every((cell) => cell === cells[0])) return cells[0]!;
    let last = 0;
    return cells.map((cell) => {
      if (typeof cell !== "number") return cell;
      const difference = cell - last;
      last = cell;
      return Number.isSafeInteger(difference) ? difference : String(cell);
    });
  }

  #packed(kind: Kind, cell: Cell): Packed {
    if (typeof cell === "bigint") return String(cell);
    if (kind !== "text" || cell === null) return cell;
    const known = this.#places.get(cell as string);
    if (known !== undefined) return known;
    this.#places.set(cell as string, this.#places.size);
    return this.#places.size - 1;
  }
}

function rowsOf<Row>(text: Text, table: Table<Row>): Row[] {
  const packed = text.tables[table.name];
  if (packed === undefined) return [];
  const [count, ...columns] = packed;
  assert(columns.length === table.columns.length, `the journal has the columns of ${table.name}`);
  const cells = columns.map((column, at) => cellsOf(text, table.columns[at]!.kind, column, count));
  return Array.from({ length: count }, (_, index) => table.make(cells, index));
}

function cellsOf(text: Text, kind: Kind, column: Column, count: number): readonly Cell[] {
  const unpacked = (cell: Packed): Cell => {
    if (cell === null) return null;
    if (kind === "decimal") return BigInt(cell as string);
    return kind === "text" ? text.texts[cell as number]! : cell;
  };
  if (!Array.isArray(column)) return new Array<Cell>(count).fill(unpacked(column as Packed));
  let last = 0;
  return column.map((cell: Packed) => {
    if (typeof cell === "number") return unpacked(last += cell);
    if (typeof cell !== "string" || kind === "decimal") return unpacked(cell);
    return last = Number(cell);
  });
}
