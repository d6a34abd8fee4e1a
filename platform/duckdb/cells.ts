/** A result's columns and cells as JSON can hold them. */
import type { DuckDBType, DuckDBValue } from "@duckdb/node-api";
import type { Cell, SqlColumn } from "../../core/ports/published.ts";

const numberTypes = /^(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|DECIMAL.*|DOUBLE|FLOAT)$/;

export function columnOf(name: string, type: DuckDBType): SqlColumn {
  const text = String(type);
  return { name, type: text, isNumber: numberTypes.test(text) };
}

/** Numbers that a double can't hold exactly stay text; a text is cut at `lengthMax` characters. */
export function cellOf(value: DuckDBValue, column: SqlColumn, lengthMax = Infinity): Cell {
  if (value === null || typeof value === "boolean") return value;
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  const text = String(value);
  if (column.isNumber) {
    const number = Number(text);
    const isExact = Number.isSafeInteger(number) ? String(number) === text : !/^-?\d+$/.test(text);
    return isExact ? number : text;
  }
  return text.length <= lengthMax ? text : `${text.slice(0, lengthMax)}…`;
}
