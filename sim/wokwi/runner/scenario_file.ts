/**
 * Reads `*.scenario.yaml`. As with wokwi-cli, whatever isn't known is an error before anything is started; every mistake
 * is told at once, with its line.
 */
import {
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  visit,
  type YAMLMap,
} from "yaml";
import { parseDuration } from "./duration.ts";
import type { Action, Scenario, Step, StepKind } from "./scenario.ts";

/** A scenario is written by hand; what is larger isn't one. */
export const scenarioBytesMax = 1_048_576;
export const stepsMax = 10_000;

export type ReadScenario =
  | { readonly kind: "scenario"; readonly scenario: Scenario }
  | { readonly kind: "problems"; readonly problems: readonly string[] };

/** `path` is for the messages: `path:line: what is wrong`. */
export function readScenario(text: string, path: string): ReadScenario {
  if (text.length > scenarioBytesMax) {
    return { kind: "problems", problems: [`${path}: is larger than ${scenarioBytesMax} bytes`] };
  }
  const reader = new ScenarioReader(text, path);
  const scenario = reader.scenario();
  return scenario === null || reader.problems.length > 0
    ? { kind: "problems", problems: reader.problems }
    : { kind: "scenario", scenario };
}

const actions: Readonly<Record<StepKind, (reader: ScenarioReader, node: Node) => Action | null>> = {
  "delay": (reader, node) => {
    const nanos = reader.duration(node, "delay");
    return nanos === null ? null : { kind: "delay", nanos };
  },
  "wait-serial": (reader, node) => {
    const text = reader.text(node, "wait-serial");
    return text === null ? null : { kind: "wait-serial", text, bytes: new TextEncoder().encode(text) };
  },
  "write-serial": (reader, node) => reader.writeSerial(node),
  "set-control": (reader, node) => {
    const fields = reader.fields(node, "set-control", ["part-id", "name", "control", "value"]);
    if (fields === null) return null;
    const [part, control] = [fields.text("part-id"), fields.oneOf("name", "control")];
    const value = fields.number("value");
    return part === null || control === null || value === null
      ? null
      : { kind: "set-control", part, control, value };
  },
  "expect-pin": (reader, node) => reader.pin(node, "expect-pin"),
  "wait-pin": (reader, node) => reader.pin(node, "wait-pin"),
  "expect-chip-output": (reader, node) => {
    const text = reader.text(node, "expect-chip-output");
    return text === null ? null : { kind: "expect-chip-output", text };
  },
  "take-screenshot": (reader, node) => {
    const fields = reader.fields(node, "take-screenshot", ["part-id", "save-to", "compare-with"]);
    if (fields === null) return null;
    const [part, saveTo] = [fields.text("part-id"), fields.optionalText("save-to")];
    const compareWith = fields.optionalText("compare-with");
    if (saveTo === null && compareWith === null) fields.problem("needs save-to, compare-with or both");
    return part === null ? null : { kind: "take-screenshot", part, saveTo, compareWith };
  },
  "touch": (reader, node) => {
    const fields = reader.fields(node, "touch", ["part-id", "x", "y", "duration", "wait"]);
    if (fields === null) return null;
    const [part, x, y] = [fields.text("part-id"), fields.number("x"), fields.number("y")];
    const durationNanos = fields.has("duration") ? fields.duration("duration") : 50_000_000;
    const wait = fields.has("wait") ? fields.flag("wait") : false;
    return part === null || x === null || y === null || durationNanos === null || wait === null
      ? null
      : { kind: "touch", part, x, y, durationNanos, wait };
  },
  "touch-press": (reader, node) => reader.touch(node, "touch-press"),
  "touch-move": (reader, node) => reader.touch(node, "touch-move"),
  "touch-release": (reader, node) => {
    const fields = reader.fields(node, "touch-release", ["part-id"]);
    const part = fields?.text("part-id") ?? null;
    return part === null ? null : { kind: "touch-release", part };
  },
};

const kinds = Object.keys(actions) as StepKind[];
const isKind = (key: string): key is StepKind => Object.hasOwn(actions, key);

class ScenarioReader {
  readonly problems: string[] = [];
  readonly #path: string;
  readonly #lines = new LineCounter();
  readonly #contents: unknown;

  constructor(text: string, path: string) {
    this.#path = path;
    const document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false });
    for (const error of document.errors) {
      this.problems.push(`${path}:${this.#lines.linePos(error.pos[0]).line}: ${error.message}`);
    }
    visit(document, {
      Alias: (_key, alias) =>
        void this.problem(alias, `*${alias.source}: aliases aren't taken, write it out`),
    });
    this.#contents = document.contents;
  }

  scenario(): Scenario | null {
    if (this.problems.length > 0) return null;
    if (!isMap(this.#contents)) {
      this.problems.push(`${this.#path}:1: must begin with name, version and steps`);
      return null;
    }
    const fields = this.#fieldsOf(this.#contents, "the scenario", [
      "name",
      "version",
      "author",
      "timeout",
      "steps",
    ]);
    const name = fields.text("name");
    if (fields.has("author")) fields.optionalText("author");
    const version = fields.get("version");
    if (version === null) fields.problem("lacks version: 1");
    else if (valueOf(version) !== 1) this.problem(version, "version must be 1");
    const timeoutNanos = fields.has("timeout") ? fields.duration("timeout") : null;
    const steps = fields.get("steps");
    if (steps === null) fields.problem("lacks steps");
    else if (!isSeq(steps) || steps.items.length === 0) this.problem(steps, "steps must be a list of steps");
    else if (steps.items.length > stepsMax) this.problem(steps, `steps must be at most ${stepsMax}`);
    else {
      const read = steps.items.map((item) => this.#step(item as Node));
      if (this.problems.length === 0) {
        return { name: name ?? "", timeoutNanos, steps: read.filter((step) => step !== null) };
      }
    }
    return null;
  }

  problem(node: Node | Pair | null, sentence: string): null {
    const range = isPair(node) ? (node.key as Node | null)?.range : node?.range;
    this.problems.push(`${this.#path}:${this.#lineAt(range?.[0] ?? 0)}: ${sentence}`);
    return null;
  }

  duration(node: Node, name: string): number | null {
    const nanos = parseDuration(valueOf(node));
    return typeof nanos === "number" ? nanos : this.problem(node, `${name} ${nanos}`);
  }

  text(node: Node, name: string): string | null {
    const value = valueOf(node);
    if (typeof value !== "string") return this.problem(node, `${name} must be text: put it in quotes`);
    return value === "" ? this.problem(node, `${name} must not be empty`) : value;
  }

  writeSerial(node: Node): Action | null {
    if (!isSeq(node)) {
      const text = this.text(node, "write-serial");
      return text === null ? null : { kind: "write-serial", text, bytes: new TextEncoder().encode(text) };
    }
    const values = node.items.map(valueOf);
    const isByte = (value: unknown): value is number =>
      Number.isInteger(value) && value as number >= 0 && value as number <= 255;
    if (values.length === 0 || !values.every(isByte)) {
      return this.problem(node, "write-serial must be text or a list of bytes, 0 to 255");
    }
    return { kind: "write-serial", text: `bytes ${values.join(" ")}`, bytes: new Uint8Array(values) };
  }

  pin(node: Node, kind: "expect-pin" | "wait-pin"): Action | null {
    const fields = this.fields(node, kind, ["part-id", "name", "pin", "value"]);
    if (fields === null) return null;
    const [part, pin, value] = [fields.text("part-id"), fields.oneOf("name", "pin"), fields.number("value")];
    if (value !== null && value !== 0 && value !== 1) return fields.problem("value must be 0 or 1");
    return part === null || pin === null || value === null ? null : { kind, part, pin, value };
  }

  touch(node: Node, kind: "touch-press" | "touch-move"): Action | null {
    const fields = this.fields(node, kind, ["part-id", "x", "y"]);
    if (fields === null) return null;
    const [part, x, y] = [fields.text("part-id"), fields.number("x"), fields.number("y")];
    return part === null || x === null || y === null ? null : { kind, part, x, y };
  }

  /** The entries of a map; everything but `known` is a problem. */
  fields(node: Node, name: string, known: readonly string[]): Fields | null {
    return isMap(node)
      ? this.#fieldsOf(node, name, known)
      : this.problem(node, `${name} needs ${known.join(", ")}`);
  }

  #fieldsOf(map: YAMLMap, name: string, known: readonly string[]): Fields {
    for (const pair of map.items) {
      const key = keyOf(pair as Pair);
      if (!known.includes(key)) {
        this.problem(pair as Pair, `${key} is unknown in ${name}: known are ${known.join(", ")}`);
      }
    }
    return new Fields(this, map, name);
  }

  #step(node: Node): Step | null {
    if (!isMap(node)) return this.problem(node, `a step is one of ${kinds.join(", ")}`);
    const pairs = node.items as Pair[];
    const unknown = pairs.find((pair) => !["name", "timeout"].includes(keyOf(pair)) && !isKind(keyOf(pair)));
    if (unknown !== undefined) {
      return this.problem(unknown, `${keyOf(unknown)} is no step: known are ${kinds.join(", ")}`);
    }
    const done = pairs.filter((pair) => isKind(keyOf(pair)));
    const [pair] = done;
    if (pair === undefined || done.length > 1) {
      return this.problem(node, `a step has exactly one of ${kinds.join(", ")}`);
    }
    const fields = new Fields(this, node, "the step");
    const name = fields.has("name") ? fields.text("name") : null;
    const timeoutNanos = fields.has("timeout") ? fields.duration("timeout") : null;
    const kind = keyOf(pair) as StepKind;
    if (pair.value === null) return this.problem(pair, `${kind} has no value`);
    const action = actions[kind](this, pair.value as Node);
    return action === null
      ? null
      : { ...action, name, timeoutNanos, line: this.#lineAt(node.range?.[0] ?? 0) };
  }

  #lineAt(offset: number): number {
    return Math.max(1, this.#lines.linePos(offset).line);
  }
}

/** The entries of one map, with the reader's problems. */
class Fields {
  readonly #reader: ScenarioReader;
  readonly #map: YAMLMap;
  readonly #name: string;

  constructor(reader: ScenarioReader, map: YAMLMap, name: string) {
    this.#reader = reader;
    this.#map = map;
    this.#name = name;
  }

  has(key: string): boolean {
    return this.#map.has(key);
  }

  get(key: string): Node | null {
    return this.#map.get(key, true) as Node | undefined ?? null;
  }

  problem(sentence: string): null {
    return this.#reader.problem(this.#map, `${this.#name} ${sentence}`);
  }

  text(key: string): string | null {
    const node = this.get(key);
    if (node === null) return this.problem(`lacks ${key}`);
    // A pin is called 15, and nobody writes quotes around it.
    const value = valueOf(node);
    return typeof value === "number" ? String(value) : this.#reader.text(node, key);
  }

  optionalText(key: string): string | null {
    return this.has(key) ? this.text(key) : null;
  }

  /** `newer` is what Wokwi calls it now, `older` what it did. */
  oneOf(newer: string, older: string): string | null {
    if (this.has(newer) && this.has(older)) return this.problem(`has both ${newer} and ${older}`);
    return this.text(this.has(older) ? older : newer);
  }

  number(key: string): number | null {
    const node = this.get(key);
    if (node === null) return this.problem(`lacks ${key}`);
    const value = valueOf(node);
    return typeof value === "number" && Number.isFinite(value)
      ? value
      : this.#reader.problem(node, `${key} must be a number`);
  }

  flag(key: string): boolean | null {
    const node = this.get(key);
    const value = node === null ? null : valueOf(node);
    return typeof value === "boolean" ? value : this.#reader.problem(node, `${key} must be true or false`);
  }

  duration(key: string): number | null {
    const node = this.get(key);
    return node === null ? this.problem(`lacks ${key}`) : this.#reader.duration(node, key);
  }
}

const valueOf = (node: unknown): unknown => isScalar(node) ? node.value : undefined;
const keyOf = (pair: Pair): string => String(valueOf(pair.key) ?? "");
