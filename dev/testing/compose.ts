/**
 * Reads the subset of YAML that `compose.yaml` is written in: maps by indentation, lists of scalars (`- item` or
 * `[a, "b"]`), plain and double-quoted scalars, comments on lines of their own. Anything else is an error, so the file
 * can't outgrow the test that reads it.
 */
export type Yaml = string | null | readonly string[] | { readonly [name: string]: Yaml };

interface Line {
  readonly number: number;
  readonly indent: number;
  readonly text: string;
}

/** Parses a document, a map at its top. */
export function parseYaml(text: string): { readonly [name: string]: Yaml } {
  const lines = text.split("\n")
    .map((line, index) => ({
      number: index + 1,
      indent: line.length - line.trimStart().length,
      text: line.trim(),
    }))
    .filter(({ text }) => text !== "" && !text.startsWith("#"));
  const at = { index: 0 };
  const document = parseMap(lines, at, 0);
  const rest = lines[at.index];
  if (rest !== undefined) throw new Error(`line ${rest.number}: unexpected indentation: ${rest.text}`);
  return document;
}

function parseMap(
  lines: readonly Line[],
  at: { index: number },
  indent: number,
): { readonly [name: string]: Yaml } {
  const map: Record<string, Yaml> = {};
  for (let line = lines[at.index]; line !== undefined && line.indent === indent; line = lines[at.index]) {
    const match = /^([A-Za-z0-9_.-]+):(?: (.+))?$/.exec(line.text);
    if (match === null) throw new Error(`line ${line.number}: no "name: value": ${line.text}`);
    const [, name = "", value] = match;
    if (name in map) throw new Error(`line ${line.number}: ${name} stands there twice`);
    at.index++;
    map[name] = value === undefined ? parseBelow(lines, at, indent) : parseValue(value, line.number);
  }
  return map;
}

/** What stands under a name: a list, a map, or nothing. */
function parseBelow(lines: readonly Line[], at: { index: number }, indent: number): Yaml {
  const first = lines[at.index];
  if (first === undefined || first.indent <= indent) return null;
  if (!first.text.startsWith("- ")) return parseMap(lines, at, first.indent);
  const list: string[] = [];
  for (
    let line = lines[at.index];
    line !== undefined && line.indent === first.indent && line.text.startsWith("- ");
    line = lines[at.index]
  ) {
    list.push(parseScalar(line.text.slice(2), line.number));
    at.index++;
  }
  return list;
}

function parseValue(text: string, number: number): Yaml {
  if (!text.startsWith("[")) return parseScalar(text, number);
  if (!text.endsWith("]")) throw new Error(`line ${number}: a list has to end on its line: ${text}`);
  const items = text.slice(1, -1).match(/"(?:[^"\\]|\\.)*"|[^,\s][^,]*/g) ?? [];
  return items.map((item) => parseScalar(item.trim(), number));
}

function parseScalar(text: string, number: number): string {
  if (text.startsWith('"')) return JSON.parse(text);
  if (/^[&*!|>'{}%@`]|: | #/.test(text)) {
    throw new Error(`line ${number}: this YAML isn't read here: ${text}`);
  }
  return text;
}

/** A map of the document, or an error that names it. */
export function mapAt(
  map: { readonly [name: string]: Yaml },
  name: string,
): { readonly [name: string]: Yaml } {
  const value = map[name];
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as { readonly [name: string]: Yaml };
  }
  throw new Error(`${name} is no map`);
}

/** A list of the document; empty when it is absent. */
export function listAt(map: { readonly [name: string]: Yaml }, name: string): readonly string[] {
  const value = map[name] ?? [];
  if (Array.isArray(value)) return value as readonly string[];
  throw new Error(`${name} is no list`);
}

/** Puts variables into a text as compose does: `${NAME:-default}` and `${NAME:?what to do}`, which has to be set. */
export function interpolate(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replace(/\$\{([A-Z_]+):([-?])([^}]*)\}/g, (_, name: string, kind: string, rest: string) => {
    const value = variables[name] ?? "";
    if (value !== "") return value;
    if (kind === "-") return rest;
    throw new Error(`${name} is not set: ${rest}`);
  });
}
