/** How a result is plotted, by what its columns are. Pure. */

/** More bars than that are a pattern, not names: they can't be read any more. */
const BARS_MAX = 40;
const LINES_MAX = 6;

/**
 * - `lines` over time, if there is a column of times with numbers beside it; a text column splits the first number.
 * - `bars`, one for each row, if there are names (or a few whole numbers, such as the hours of a day) and a number.
 * - `curve`: numbers over the first number, if there are only numbers.
 * Null if there is nothing to see: no number, or fewer than two rows.
 */
export function plotOf(columns, rows) {
  if (rows.length < 2) return null;
  const placed = columns.map((column, index) => ({ ...column, index }));
  const numbers = placed.filter(({ isNumber }) => isNumber);
  if (numbers.length === 0) return null;
  const time = placed.find(({ type }) => /^(TIMESTAMP|DATE)/.test(type));
  if (time !== undefined) return overTime(time, placed, numbers, rows) ?? null;
  const names = placed.filter(({ isNumber }) => !isNumber);
  if (names.length > 0) return rows.length > BARS_MAX ? null : bars(names, numbers, rows);
  if (numbers.length < 2) return null;
  const [first, ...others] = numbers;
  const keys = rows.map((row) => row[first.index]);
  if (new Set(keys).size < keys.length || !keys.every((key) => typeof key === "number")) return null;
  return rows.length <= BARS_MAX && keys.every(Number.isInteger)
    ? bars([first], others, rows.toSorted((a, b) => a[first.index] - b[first.index]))
    : curve(first, others, rows);
}

function overTime(time, placed, numbers, rows) {
  const msOf = (text) =>
    text === null
      ? NaN
      : Date.parse(`${String(text).replace(" ", "T")}${String(text).length <= 10 ? "T00:00:00" : ""}Z`);
  const x = [...new Set(rows.map((row) => msOf(row[time.index])))].filter(Number.isFinite).sort((a, b) =>
    a - b
  );
  if (x.length < 2) return null;
  const place = new Map(x.map((ms, index) => [ms, index]));
  const names = placed.find(({ type }) => type === "VARCHAR");
  const groups = names === undefined
    ? [null]
    : [...new Set(rows.map((row) => row[names.index]))].slice(0, LINES_MAX);
  const wanted = names === undefined ? numbers.slice(0, LINES_MAX) : numbers.slice(0, 1);
  const lines = groups.flatMap((group) =>
    wanted.map((number) => {
      const values = new Array(x.length).fill(null);
      for (const row of rows) {
        if (names !== undefined && row[names.index] !== group) continue;
        const at = place.get(msOf(row[time.index]));
        if (at !== undefined && typeof row[number.index] === "number") values[at] = row[number.index];
      }
      return { label: names === undefined ? number.name : String(group), values };
    })
  );
  return { kind: "lines", x: x.map((ms) => ms / 1_000), lines };
}

function bars(names, numbers, rows) {
  const named = names.map(({ name }) => name).join(", ");
  return {
    kind: "bars",
    by: named,
    labels: rows.map((row) => names.map(({ index }) => row[index] ?? "NULL").join(" · ")),
    series: numbers.slice(0, LINES_MAX).map(({ name, index }) => ({
      label: name,
      values: rows.map((row) => typeof row[index] === "number" ? row[index] : null),
    })),
  };
}

function curve(first, others, rows) {
  const sorted = rows.toSorted((a, b) => a[first.index] - b[first.index]);
  return {
    kind: "curve",
    by: first.name,
    x: sorted.map((row) => row[first.index]),
    lines: others.slice(0, LINES_MAX).map(({ name, index }) => ({
      label: name,
      values: sorted.map((row) => typeof row[index] === "number" ? row[index] : null),
    })),
  };
}

/** Where bars begin and end, in percent of the room from the lowest value to the highest, with zero among them. */
export function barSpans(values) {
  const known = values.filter((value) => value !== null);
  const [low, high] = [Math.min(0, ...known), Math.max(0, ...known)];
  const share = (value) => high === low ? 0 : (value - low) / (high - low) * 100;
  return {
    zero: share(0),
    spans: values.map((value) =>
      value === null ? null : { from: share(Math.min(0, value)), to: share(Math.max(0, value)) }
    ),
  };
}
