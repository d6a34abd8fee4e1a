/** SQL as far as an editor has to know it: coloured parts, and what may come next at a place. Pure. */

export const keywords =
  ("SELECT FROM WHERE GROUP BY ORDER HAVING LIMIT OFFSET AS ON USING JOIN LEFT RIGHT FULL INNER CROSS ANTI SEMI " +
    "ASOF UNION ALL EXCEPT INTERSECT DISTINCT WITH RECURSIVE CASE WHEN THEN ELSE END AND OR NOT IN IS NULL LIKE ILIKE BETWEEN " +
    "ASC DESC NULLS FIRST LAST QUALIFY OVER PARTITION ROWS RANGE FILTER EXCLUDE REPLACE INTERVAL CAST TRUE FALSE DESCRIBE " +
    "SUMMARIZE EXPLAIN SHOW PIVOT UNPIVOT VALUES HOUR MINUTE SECOND DAY MONTH").split(" ");
const keywordSet = new Set(keywords);

export const functions =
  ("avg min max sum count median quantile_cont stddev arg_min arg_max first last any_value string_agg list " +
    "round floor ceil abs ln exp sqrt greatest least coalesce nullif date_trunc time_bucket hour day month year epoch_ms strftime " +
    "row_number rank lag lead first_value last_value now current_timestamp generate_series unnest").split(
      " ",
    );

const pattern =
  /(--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|('(?:[^']|'')*(?:'|$))|("(?:[^"]|"")*(?:"|$))|(\b\d+(?:\.\d+)?\b)|([A-Za-z_]\w*)/g;

/** `[text, kind]` pieces that together are the text; kind is "" for plain ones. */
export function partsOf(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    if (match.index > end) parts.push([text.slice(end, match.index), ""]);
    const [whole, comment, string, , number, word] = match;
    const kind = comment !== undefined
      ? "comment"
      : string !== undefined
      ? "text"
      : number !== undefined
      ? "number"
      : word !== undefined && keywordSet.has(word.toUpperCase())
      ? "keyword"
      : "";
    parts.push([whole, kind]);
    end = match.index + whole.length;
  }
  if (end < text.length) parts.push([text.slice(end), ""]);
  return parts;
}

const SUGGESTIONS_MAX = 12;

/**
 * What may come at `caret`: `{ from, items: [{ text, about }] }`, best first, or null. After FROM and JOIN views come
 * first; elsewhere the columns of the views that the query names.
 */
export function suggest(text, caret, schema) {
  const before = text.slice(0, caret);
  const last = partsOf(before).at(-1);
  if (last !== undefined && (last[1] === "comment" || last[1] === "text") && before.endsWith(last[0])) {
    return null;
  }
  const word = /[A-Za-z_]\w*$/.exec(before)?.[0] ?? "";
  if (word === "") return null;
  const from = caret - word.length;
  const previous = /(\w+)[\s,]*$/.exec(before.slice(0, from))?.[1]?.toUpperCase() ?? "";
  const afterDot = before[from - 1] === ".";
  const named = schema.filter(({ name }) => new RegExp(`\\b${name}\\b`, "i").test(text));
  const columns = new Map();
  for (const view of named.length > 0 ? named : schema) {
    for (const column of view.columns) {
      if (!columns.has(column.name)) {
        columns.set(column.name, { text: column.name, about: `${view.name}, ${column.type.toLowerCase()}` });
      }
    }
  }
  const views = schema.map(({ name }) => ({ text: name, about: "view" }));
  const rest = [
    ...keywords.map((text) => ({ text, about: "" })),
    ...functions.map((name) => ({ text: name, about: "function" })),
  ];
  const isTable = ["FROM", "JOIN", "DESCRIBE", "SUMMARIZE"].includes(previous);
  const ranked = afterDot
    ? [...columns.values()]
    : isTable
    ? [...views, ...columns.values()]
    : [...columns.values(), ...views, ...rest];
  const lower = word.toLowerCase();
  const items = ranked.filter(({ text }) =>
    text.toLowerCase().startsWith(lower) && text.toLowerCase() !== lower
  );
  const loose = lower.length < 3 ? [] : ranked.filter(({ text }) => text.toLowerCase().indexOf(lower) > 0);
  const all = [...items, ...loose].slice(0, SUGGESTIONS_MAX);
  return all.length === 0 ? null : { from, items: all };
}

/** Rows as CSV after RFC 4180. */
export function csvOf(columns, rows) {
  const cell = (value) => {
    const text = value === null ? "" : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns.map(({ name }) => name), ...rows].map((row) => row.map(cell).join(",")).join("\r\n") +
    "\r\n";
}

/**
 * How to plot a result: over time if it has a column of times and numbers beside it, as bars if it has a column of names
 * and one of numbers; null if neither. One text column beside time and numbers splits the lines.
 */
export function plotOf(columns, rows) {
  if (rows.length < 2) return null;
  const numbers = columns.map((column, index) => ({ ...column, index })).filter(({ isNumber }) => isNumber);
  if (numbers.length === 0) return null;
  const time = columns.findIndex(({ type }) => /^(TIMESTAMP|DATE)/.test(type));
  const names = columns.findIndex(({ type }) => type === "VARCHAR");
  if (time < 0) {
    return names < 0 || rows.length > 40 ? null : { kind: "bars", names, number: numbers[0].index };
  }
  const msOf = (text) =>
    text === null
      ? NaN
      : Date.parse(`${String(text).replace(" ", "T")}${String(text).length <= 10 ? "T00:00:00" : ""}Z`);
  const x = [...new Set(rows.map((row) => msOf(row[time])))].filter(Number.isFinite).sort((a, b) => a - b);
  if (x.length < 2) return null;
  const place = new Map(x.map((ms, index) => [ms, index]));
  const groups = names < 0 ? [null] : [...new Set(rows.map((row) => row[names]))].slice(0, 6);
  const wanted = names < 0 ? numbers.slice(0, 6) : numbers.slice(0, 1);
  const lines = groups.flatMap((group) =>
    wanted.map((number) => {
      const values = new Array(x.length).fill(null);
      for (const row of rows) {
        if (group !== null && row[names] !== group) continue;
        const at = place.get(msOf(row[time]));
        if (at !== undefined && typeof row[number.index] === "number") values[at] = row[number.index];
      }
      return { label: group === null ? number.name : String(group), values };
    })
  );
  return { kind: "lines", x: x.map((ms) => ms / 1_000), lines };
}
