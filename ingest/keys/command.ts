/** What `deno task keys` was asked for, and what comes of it. Pure: the file's text and a new key come in. */
import { parseArgs } from "node:util";
import {
  isAlive,
  isKeyName,
  type KeyEntry,
  keyFileText,
  keyNameRule,
  parseKeyFile,
  patternProblem,
  withKey,
  withoutKey,
  withRotated,
} from "../key_file.ts";

const DEFAULT_FILE = "data/keys.json";
const DEFAULT_OVERLAP_MS = 86_400_000;

export const keysHelp =
  `Keys of ingest: who may write for which devices. Running services see a change within a second.

  deno task keys create NAME [--devices 'greenhouse-*,desk'] [--admin]   a new key; it is shown this once
  deno task keys list
  deno task keys rotate NAME [--overlap 24h]   a new secret; the old one goes on for the overlap
  deno task keys revoke NAME                   ends it at once

  --devices LIST   patterns of device names, * is any text (default *)
  --admin          also control records: retiring, renaming, releasing
  --file PATH      the file of keys (default: ISOTHERM_KEYS, else ${DEFAULT_FILE}); it holds hashes only`;

export type KeysCommand =
  | { readonly kind: "help" }
  | { readonly kind: "problem"; readonly problem: string }
  | { readonly kind: "list"; readonly file: string }
  | {
    readonly kind: "create";
    readonly file: string;
    readonly name: string;
    readonly devices: readonly string[];
    readonly may: KeyEntry["may"];
  }
  | { readonly kind: "rotate"; readonly file: string; readonly name: string; readonly overlapMs: number }
  | { readonly kind: "revoke"; readonly file: string; readonly name: string };

/** Reads the arguments. `envFile`: the file that the environment names. */
export function parseKeysCommand(args: readonly string[], envFile: string | null): KeysCommand {
  const problem = (text: string): KeysCommand => ({ kind: "problem", problem: text });
  let parsed;
  try {
    parsed = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        devices: { type: "string" },
        admin: { type: "boolean" },
        overlap: { type: "string" },
        file: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    return problem((error as Error).message);
  }
  const { values, positionals } = parsed;
  const [action, name, ...rest] = positionals;
  if (values.help === true || action === undefined) return { kind: "help" };
  const file = values.file ?? envFile ?? DEFAULT_FILE;
  if (action === "list") return { kind: "list", file };
  if (action !== "create" && action !== "rotate" && action !== "revoke") {
    return problem(`${JSON.stringify(action)} is no action: use create, list, rotate or revoke`);
  }
  if (name === undefined || !isKeyName(name) || rest.length > 0) {
    return problem(`${action} needs one NAME of ${keyNameRule}`);
  }
  if (action === "revoke") return { kind: "revoke", file, name };
  if (action === "rotate") {
    const overlapMs = values.overlap === undefined ? DEFAULT_OVERLAP_MS : durationMs(values.overlap);
    return overlapMs === null
      ? problem(`--overlap is ${JSON.stringify(values.overlap)}: use a number and s, m, h or d`)
      : { kind: "rotate", file, name, overlapMs };
  }
  const devices = (values.devices ?? "*").split(",").map((pattern) => pattern.trim());
  const wrong = devices.map(patternProblem).find((text) => text !== null);
  if (wrong !== undefined) return problem(`--devices: ${wrong}`);
  return { kind: "create", file, name, devices, may: values.admin === true ? "admin" : "write" };
}

const unitMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function durationMs(text: string): number | null {
  const match = /^(\d{1,6})([smhd])$/.exec(text);
  return match === null ? null : Number(match[1]) * unitMs[match[2]!]!;
}

export type KeysResult =
  | { readonly kind: "problem"; readonly problem: string }
  /** `text`: the file's new text, null when it stays. */
  | { readonly kind: "done"; readonly text: string | null; readonly lines: readonly string[] };

/** Carries a command out on the file's text (null: there is none). `fresh`: a new key for `name` with its hash. */
export function runKeysCommand(
  command: Extract<KeysCommand, { readonly file: string }>,
  text: string | null,
  nowMs: number,
  fresh: (name: string) => { readonly key: string; readonly hash: string },
): KeysResult {
  const before = text === null ? { kind: "keys" as const, keys: [] } : parseKeyFile(text);
  if (before.kind === "problem") return before;
  switch (command.kind) {
    case "list":
      return { kind: "done", text: null, lines: listed(before.keys.filter((key) => isAlive(key, nowMs))) };
    case "revoke": {
      const after = withoutKey(before.keys, command.name, nowMs);
      if (after.kind === "problem") return after;
      return { kind: "done", text: keyFileText(after.keys), lines: [`${command.name} is revoked`] };
    }
    case "create": {
      const { name, may, devices } = command;
      const { key, hash } = fresh(name);
      const after = withKey(before.keys, { name, may, devices, hash, createdMs: nowMs, expiresMs: null });
      if (after.kind === "problem") return after;
      return { kind: "done", text: keyFileText(after.keys), lines: shownOnce(key) };
    }
    case "rotate": {
      const { name, overlapMs } = command;
      const { key, hash } = fresh(name);
      const after = withRotated(before.keys, name, hash, nowMs, overlapMs);
      if (after.kind === "problem") return after;
      const until = `the old key ends at ${new Date(nowMs + overlapMs).toISOString()}`;
      return { kind: "done", text: keyFileText(after.keys), lines: [...shownOnce(key), until] };
    }
  }
}

const shownOnce = (key: string) => [key, "keep it: it is shown this once, and only its hash is stored"];

function listed(keys: readonly KeyEntry[]): string[] {
  if (keys.length === 0) return ["there are no keys"];
  const rows = keys.map(({ name, may, devices, createdMs, expiresMs }) => [
    name,
    may,
    devices.join(","),
    new Date(createdMs).toISOString(),
    expiresMs === null ? "" : `ends ${new Date(expiresMs).toISOString()}`,
  ]);
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trimEnd());
}
