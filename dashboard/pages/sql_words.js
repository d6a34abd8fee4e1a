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
