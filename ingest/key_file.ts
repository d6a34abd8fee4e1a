/**
 * The file of keys: names, scopes and SHA-256 hashes, never a secret. Pure: text in, text out, and the changes that
 * `deno task keys` makes. Whoever reads the file learns who may write what, and can write nothing.
 */
import { deviceNameProblem } from "../core/schema.ts";
import { matchesGlob } from "./glob.ts";

export interface KeyEntry {
  readonly name: string;
  /** SHA-256 of the key, 64 hexadecimal digits. */
  readonly hash: string;
  /** `write`: readings; `admin`: also control records, for all devices in scope. */
  readonly may: "write" | "admin";
  /** Patterns of device names; `*` is all. */
  readonly devices: readonly string[];
  /** Unix ms. */
  readonly createdMs: number;
  /** Unix ms from which on it grants nothing; null: never. */
  readonly expiresMs: number | null;
}

/** Keys in one file; the file is small enough to be read whole. */
export const keysMax = 10_000;
const PATTERNS_MAX = 100;
const NAME = /^[a-z0-9][a-z0-9-]{0,39}$/;
export const keyNameRule = "1 to 40 of a–z, 0–9 and -, starting with a letter or digit";

export const isKeyName = (text: string): boolean => NAME.test(text);

/** What is wrong with a pattern of device names, or null. */
export function patternProblem(pattern: string): string | null {
  return deviceNameProblem(pattern) === null
    ? null
    : `the pattern ${JSON.stringify(pattern)} is no device name with stars`;
}

export type KeyFileOutcome =
  | { readonly kind: "keys"; readonly keys: readonly KeyEntry[] }
  | { readonly kind: "problem"; readonly problem: string };

/** Reads the file's text. */
export function parseKeyFile(text: string): KeyFileOutcome {
  const problem = (what: string): KeyFileOutcome => ({ kind: "problem", problem: `the key file ${what}` });
  let json: { readonly isotherm_keys?: unknown; readonly keys?: unknown } | null;
  try {
    json = JSON.parse(text);
  } catch {
    return problem("is not JSON: restore it, or make a new one with deno task keys create");
  }
  if (typeof json !== "object" || json === null || json.isotherm_keys !== 1) {
    return problem('lacks "isotherm_keys": 1: it is no key file, or a newer one than this build reads');
  }
  if (!Array.isArray(json.keys) || json.keys.length > keysMax) {
    return problem(`needs a list of at most ${keysMax} keys`);
  }
  const keys: KeyEntry[] = [];
  for (const [index, entry] of json.keys.entries()) {
    const key = keyEntry(entry);
    if (typeof key === "string") return problem(`has a wrong entry ${index}: ${key}`);
    keys.push(key);
  }
  return { kind: "keys", keys };
}

function keyEntry(json: unknown): KeyEntry | string {
  if (typeof json !== "object" || json === null) return "not an object";
  const { name, hash, may, devices, created, expires = null } = json as Record<string, unknown>;
  if (typeof name !== "string" || !NAME.test(name)) return `name must be ${keyNameRule}`;
  if (typeof hash !== "string" || !/^[0-9a-f]{64}$/.test(hash)) return "hash must be 64 hexadecimal digits";
  if (may !== "write" && may !== "admin") return "may must be write or admin";
  if (!Array.isArray(devices) || devices.length === 0 || devices.length > PATTERNS_MAX) {
    return `devices must be 1 to ${PATTERNS_MAX} patterns`;
  }
  for (const pattern of devices) {
    const problem = typeof pattern === "string" ? patternProblem(pattern) : "a pattern must be text";
    if (problem !== null) return problem;
  }
  const createdMs = typeof created === "string" ? Date.parse(created) : NaN;
  const expiresMs = expires === null ? null : typeof expires === "string" ? Date.parse(expires) : NaN;
  if (Number.isNaN(createdMs) || Number.isNaN(expiresMs)) return "created and expires must be ISO times";
  return { name, hash, may, devices: devices as string[], createdMs, expiresMs };
}

/** The file's text, one key a line, so that a change is a readable difference. */
export function keyFileText(keys: readonly KeyEntry[]): string {
  const iso = (ms: number) => new Date(ms).toISOString();
  const lines = keys.map(({ name, hash, may, devices, createdMs, expiresMs }) =>
    "    " + JSON.stringify({
      name,
      may,
      devices,
      created: iso(createdMs),
      ...(expiresMs === null ? {} : { expires: iso(expiresMs) }),
      hash,
    })
  );
  return `{\n  "isotherm_keys": 1,\n  "keys": [${
    lines.length === 0 ? "" : `\n${lines.join(",\n")}\n  `
  }]\n}\n`;
}

/** True while the key grants something. */
export const isAlive = (key: KeyEntry, nowMs: number): boolean =>
  key.expiresMs === null || nowMs < key.expiresMs;

/** True if the key may write for the device. */
export const covers = (key: Pick<KeyEntry, "devices">, device: string): boolean =>
  key.devices.some((pattern) => matchesGlob(pattern, device));

/** Adds a key. Its name must be free among living keys. */
export function withKey(keys: readonly KeyEntry[], added: KeyEntry): KeyFileOutcome {
  if (keys.some((key) => key.name === added.name && isAlive(key, added.createdMs))) {
    const problem = `there is a key ${added.name} already: rotate or revoke it, or choose another name`;
    return { kind: "problem", problem };
  }
  return { kind: "keys", keys: [...withoutDead(keys, added.createdMs), added] };
}

/** Gives a name a new secret; the old one goes on for `overlapMs`, so that boards can be changed one by one. */
export function withRotated(
  keys: readonly KeyEntry[],
  name: string,
  hash: string,
  nowMs: number,
  overlapMs: number,
): KeyFileOutcome {
  const old = keys.findLast((key) => key.name === name && isAlive(key, nowMs));
  if (old === undefined) {
    return { kind: "problem", problem: `there is no key ${name}: deno task keys list shows them` };
  }
  const until = nowMs + overlapMs;
  const ending = keys.map((key) =>
    key.name === name ? { ...key, expiresMs: Math.min(key.expiresMs ?? Infinity, until) } : key
  );
  const renewed: KeyEntry = { ...old, hash, createdMs: nowMs, expiresMs: null };
  return { kind: "keys", keys: [...withoutDead(ending, nowMs), renewed] };
}

/** Takes everything from a name, at once. */
export function withoutKey(keys: readonly KeyEntry[], name: string, nowMs: number): KeyFileOutcome {
  if (!keys.some((key) => key.name === name && isAlive(key, nowMs))) {
    return { kind: "problem", problem: `there is no key ${name}: deno task keys list shows them` };
  }
  return { kind: "keys", keys: withoutDead(keys.filter((key) => key.name !== name), nowMs) };
}

const withoutDead = (keys: readonly KeyEntry[], nowMs: number) => keys.filter((key) => isAlive(key, nowMs));
