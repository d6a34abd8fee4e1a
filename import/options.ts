/** The command line of `deno task import`. */
import { type ParsedCommand, readCommandLine } from "../core/command_line.ts";
import type { ColumnNames } from "./rows.ts";
import { type TimestampFormat, zoneProblem } from "./timestamp.ts";

export interface ImportOptions {
  readonly file: string;
  /** Ingest's address. */
  readonly url: string;
  readonly columns: ColumnNames;
  readonly tsFormat: TimestampFormat;
  /** IANA zone of times without an offset. */
  readonly zone: string;
  /** Null: guessed from the header. */
  readonly delimiter: string | null;
  readonly key: string | null;
}

export type ParsedOptions = ParsedCommand<ImportOptions>;

export const importHelp =
  `Sends the readings of a CSV file through ingest. What is stored already isn't counted again.

  deno task import FILE.csv --url URL --device COLUMN --ts COLUMN --temperature COLUMN --humidity COLUMN

  --url URL             ingest, for instance http://127.0.0.1:8086
  --device COLUMN       names the device (the columns are those of the file's first line)
  --ts COLUMN           time of the reading
  --temperature COLUMN  in °C; this or --humidity may be left out
  --humidity COLUMN     relative, in %
  --ts-format FORMAT    auto (default): seconds or milliseconds since 1970, or text as 2026-01-31 23:59:00;
                        s, ms or iso to insist on one
  --zone ZONE           zone of times without an offset, for instance Europe/Berlin (default UTC)
  --delimiter CHAR      for instance ';' or tab (default: what the first line uses)
  --key KEY             key that may write for these devices, where ingest asks for one

Exit status: 0 all rows are stored, 1 some are not (each is named), 2 the command can't be understood.`;

const formats: readonly string[] = ["auto", "s", "ms", "iso"] satisfies TimestampFormat[];

/** Reads the arguments and reports every problem at once. */
export function parseImportOptions(args: readonly string[]): ParsedOptions {
  const line = readCommandLine(args, {
    texts: ["url", "device", "ts", "temperature", "humidity", "ts-format", "zone", "delimiter", "key"],
  });
  if (line === null) return { kind: "help" };
  const { texts: values, words, problems } = line;
  const [file = ""] = words;
  if (words.length !== 1) problems.push(`give one file, not ${words.length}`);
  const url = ingestUrl(values.url, problems);
  const need = (name: "device" | "ts") => {
    if (values[name] === undefined) problems.push(`--${name} is missing: name the column`);
    return values[name] ?? "";
  };
  const columns: ColumnNames = {
    device: need("device"),
    ts: need("ts"),
    temperature: values.temperature ?? null,
    humidity: values.humidity ?? null,
  };
  if (columns.temperature === null && columns.humidity === null) {
    problems.push("--temperature and --humidity are missing: name at least one column");
  }
  const tsFormat = values["ts-format"] ?? "auto";
  if (!formats.includes(tsFormat)) problems.push(`--ts-format is ${tsFormat}: use ${formats.join(", ")}`);
  const zone = values.zone ?? "UTC";
  const zoneMessage = zoneProblem(zone);
  if (zoneMessage !== null) problems.push(`--zone: ${zoneMessage}`);
  const delimiter = delimiterOf(values.delimiter);
  if (delimiter === undefined) {
    problems.push(`--delimiter is ${JSON.stringify(values.delimiter)}: use one character`);
  }
  if (problems.length > 0 || url === null) return { kind: "problems", problems };
  const options: ImportOptions = {
    file,
    url,
    columns,
    tsFormat: tsFormat as TimestampFormat,
    zone,
    delimiter: delimiter ?? null,
    key: values.key ?? null,
  };
  return { kind: "options", options };
}

function ingestUrl(text: string | undefined, problems: string[]): string | null {
  if (text === undefined) {
    problems.push("--url is missing: name ingest, for instance http://127.0.0.1:8086");
    return null;
  }
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    problems.push(`--url is ${JSON.stringify(text)}: use an address like http://127.0.0.1:8086`);
    return null;
  }
  return text;
}

/** Undefined: no delimiter. */
function delimiterOf(text: string | undefined): string | null | undefined {
  if (text === undefined) return null;
  if (text === "tab" || text === "\\t") return "\t";
  return text.length === 1 && !/["\r\n]/.test(text) ? text : undefined;
}
