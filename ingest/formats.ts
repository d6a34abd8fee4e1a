/** From a body to batches: which formats there are, and how each is taken apart. Pure. */
import { limits } from "../core/limits.ts";
import type { Problem } from "../core/schema.ts";
import { type Refusal, refused } from "./answers.ts";
import type { IngestLimits } from "./limits.ts";
import { type Parcel, readParcel } from "./parcel.ts";

export type Format = "json" | "ndjson";

export type Parsed = {
  readonly kind: "parcels";
  readonly parcels: readonly Parcel[];
  readonly readings: number;
} | Refusal;

/** Content types by format. `curl -d` says form-urlencoded, and means what follows. */
const formats: Readonly<Record<string, Format>> = {
  "": "json",
  "application/json": "json",
  "application/x-www-form-urlencoded": "json",
  "text/json": "json",
  "text/plain": "json",
  "application/x-ndjson": "ndjson",
  "application/ndjson": "ndjson",
  "application/jsonl": "ndjson",
  "application/x-jsonlines": "ndjson",
  "application/json-lines": "ndjson",
};

/** The format of a `Content-Type`. */
export function formatOf(
  contentType: string | null,
): { readonly kind: "format"; readonly format: Format } | Refusal {
  const [type = "", ...parameters] = (contentType ?? "").toLowerCase().split(";").map((part) => part.trim());
  const format = Object.hasOwn(formats, type) ? formats[type] : undefined;
  const charset = parameters.find((parameter) => parameter.startsWith("charset="))?.slice(8).replaceAll(
    '"',
    "",
  );
  if (format === undefined) {
    const detail =
      `the content type ${JSON.stringify(type.slice(0, 100))} isn't known: send application/json ` +
      "(one batch or reading) or application/x-ndjson (one a line)";
    return refused("unknown-format", detail, {
      headers: { "accept-post": "application/json, application/x-ndjson" },
    });
  }
  if (charset !== undefined && !/^(utf-?8|us-ascii)$/.test(charset)) {
    return refused(
      "unknown-format",
      `the charset ${JSON.stringify(charset.slice(0, 40))} isn't known: send UTF-8`,
    );
  }
  return { kind: "format", format };
}

/** Takes a body apart. All or nothing: if a part is no batch, nothing of the request is taken. */
export function parseBody(format: Format, body: Uint8Array, bounds: IngestLimits): Parsed {
  switch (format) {
    case "json":
      return parseParts([body], false, bounds);
    case "ndjson":
      return parseParts(linesOf(body), true, bounds);
  }
}

/** Problems that are looked for before the rest of a body is left alone. */
const PROBLEMS_MAX = 1_000;

function parseParts(parts: readonly Uint8Array[], lines: boolean, bounds: IngestLimits): Parsed {
  const problems: Problem[] = [];
  const parcels: Parcel[] = [];
  let readings = 0;
  for (const [index, value] of parts.entries()) {
    const prefix = lines ? `/${index}` : "";
    if (value.length > limits.batchBytesMax) {
      const message = `has ${value.length} bytes, at most ${limits.batchBytesMax} fit into a record`;
      problems.push({ path: prefix, message, tooLarge: true });
      continue;
    }
    const read = readParcel(value);
    if (read.kind === "problems") {
      problems.push(...read.problems.map((problem) => ({ ...problem, path: prefix + problem.path })));
      if (problems.length > PROBLEMS_MAX) break;
      continue;
    }
    readings += read.parcel.readings;
    parcels.push(read.parcel);
  }
  if (problems.length === 0 && parcels.length === 0) {
    problems.push({ path: "", message: "is empty: send a batch" });
  }
  if (problems.length > 0) return refusedProblems(problems, parts, lines);
  if (readings > bounds.readingsPerRequestMax) {
    const detail = `the request has ${readings} readings, at most ${bounds.readingsPerRequestMax} fit`;
    return refused("too-large", detail);
  }
  return { kind: "parcels", parcels, readings };
}

function refusedProblems(
  problems: readonly Problem[],
  parts: readonly Uint8Array[],
  lines: boolean,
): Refusal {
  const isTooLarge = problems.every((problem) => problem.tooLarge === true);
  const shown = problems.map(({ path, message }) => ({ path, message }));
  const [first] = shown;
  const where = first!.path === "" ? (lines ? "the body" : "the batch") : first!.path;
  const others = problems.length > 1 ? `, and ${problems.length - 1} more` : "";
  const hint = !lines && looksLikeLines(parts[0]!)
    ? "; it looks like several lines: send them as application/x-ndjson"
    : "";
  return refused(
    isTooLarge ? "too-large" : "no-batch",
    `${where} ${first!.message}${others}${hint}; nothing of this request was stored`,
    { problems: shown },
  );
}

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** Lines without their ends; lines of nothing but blanks are left out. */
function linesOf(body: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = [];
  for (let start = 0; start < body.length;) {
    const newline = body.indexOf(NEWLINE, start);
    const next = newline < 0 ? body.length : newline;
    const end = next > start && body[next - 1] === CARRIAGE_RETURN ? next - 1 : next;
    const line = body.subarray(start, end);
    if (!line.every(isBlank)) lines.push(line);
    start = next + 1;
  }
  return lines;
}

const isBlank = (byte: number) => byte === 0x20 || byte === 0x09 || byte === CARRIAGE_RETURN;

/** True for `{…}⏎{…`: somebody sent lines as one JSON document. */
function looksLikeLines(body: Uint8Array): boolean {
  for (let at = body.indexOf(NEWLINE); at >= 0; at = body.indexOf(NEWLINE, at + 1)) {
    if (body[at + 1] === 0x7b && (body[at - 1] === 0x7d || body[at - 2] === 0x7d)) return true;
  }
  return false;
}
