/**
 * Who may import whom. Deciding code lives in `core/` and knows nobody; services know the core; `platform/` is the real
 * world and `sim/` a simulated one; a `main.ts` (and `dev/`, one composition of everything) joins them. Type imports count
 * as imports: they couple rooms just as well.
 */
import { type Place, placeOf, placeOfImport } from "./rooms.ts";

/** Rooms that a room's files may import besides their own; `main` more for its `main.ts`, `test` more for its tests. */
interface Directions {
  readonly all: readonly string[];
  readonly main?: readonly string[];
  readonly test?: readonly string[];
}

const service: Directions = { all: ["core"], main: ["platform"], test: ["platform", "sim"] };
const directions: Readonly<Record<string, Directions>> = {
  core: { all: [], test: ["sim"] },
  platform: { all: ["core"], test: ["sim"] },
  ingest: service,
  aggregator: service,
  dashboard: service,
  import: { ...service, all: ["core", "ingest"] }, // a client of ingest, and with its own words
  sql: service,
  export: service,
  firmware: { all: ["core"], test: ["sim"] },
  sim: { all: ["core", "platform", "ingest", "aggregator", "dashboard", "firmware"] },
  dev: {
    all: ["core", "platform", "ingest", "aggregator", "dashboard", "firmware", "sim"],
    test: ["import"],
  },
  spark: { all: ["core", "platform", "aggregator", "sim", "dev"] },
  bench: { all: ["core", "platform", "ingest", "aggregator", "dashboard", "sim"] },
  lint: { all: [] },
};

/** Packages with one owner: the rooms that may import them. */
const packages: readonly { readonly name: RegExp; readonly rooms: readonly string[] }[] = [
  { name: /^(npm:)?kafkajs(@|\/|$)/, rooms: ["platform"] },
  { name: /^(npm:)?@redis\//, rooms: ["platform"] },
  { name: /^(npm:)?mqtt(@|\/|$)/, rooms: ["platform"] },
  { name: /^(npm:)?@duckdb\//, rooms: ["platform"] },
  { name: /^node:sqlite$/, rooms: ["platform"] },
  { name: /^(npm:)?@micropython\//, rooms: ["sim"] },
];

/** The oracle recomputes everything in its own way; a mistake in the core must not reach it. */
const isOracle = (place: Place) => /^sim\/oracle[^/]*(\.ts|\/)/.test(place.path) && !place.isTest;

export const importDirections: Deno.lint.Rule = {
  create(context) {
    const from = placeOf(context.filename);
    if (from === null) return {};
    const check = (node: Deno.lint.Node, specifier: unknown) => {
      if (typeof specifier !== "string") return;
      const message = importProblem(from, specifier);
      if (message !== null) {
        context.report({ node, message, hint: "See “The rooms” in docs/architecture.md." });
      }
    };
    return {
      ImportDeclaration: (node) => check(node, node.source.value),
      ExportAllDeclaration: (node) => check(node, node.source.value),
      ExportNamedDeclaration: (node) => check(node, node.source?.value),
      ImportExpression: (node) => check(node, node.source.type === "Literal" ? node.source.value : undefined),
    };
  },
};

/** What is wrong with an import, in one sentence, or null. */
export function importProblem(from: Place, specifier: string): string | null {
  if (!specifier.startsWith(".")) return packageProblem(from, specifier);
  const to = placeOfImport(from, specifier);
  if (to === null) return `${specifier} lies outside the project`;
  if (isOracle(from) && to.room === "core") {
    return "the oracle imports nothing of core/: it has to find the same rows in another way";
  }
  if (to.room === from.room || to.room === "") return null;
  const rooms = directions[from.room];
  if (rooms === undefined) return null;
  const allowed = [
    ...rooms.all,
    ...(from.isMain || from.isTest ? rooms.main ?? [] : []),
    ...(from.isTest ? rooms.test ?? [] : []),
  ];
  if (allowed.includes(to.room)) return null;
  return `${from.room}/ must not import ${to.room}/ here: ${reason(from, to)}`;
}

function packageProblem(from: Place, specifier: string): string | null {
  const isAssert = /^node:assert(\/strict)?$/.test(specifier);
  if (from.room === "core" && !(from.isTest && isAssert)) {
    return `core/ imports nothing from outside, not even ${specifier}: pass the value in, or move the code to platform/`;
  }
  for (const { name, rooms } of packages) {
    if (name.test(specifier) && !rooms.includes(from.room)) {
      return `only ${
        rooms.map((room) => `${room}/`).join(" and ")
      } may import ${specifier}: go through its port`;
    }
  }
  return null;
}

function reason(from: Place, to: Place): string {
  if (from.room === "core") return "core/ knows nobody";
  if (to.room === "sim") return "only sim/, dev/ and tests know the simulated world";
  if (to.room === "platform") {
    return "only a main.ts joins a service with the real world; take a port from core/ports/";
  }
  if (directions[to.room] === service) {
    return "services meet in the log and in published files, never in code";
  }
  return `its files may import ${["core", ...directions[from.room]?.all ?? []].filter(isFirst).join(", ")}`;
}

const isFirst = (value: string, index: number, all: readonly string[]) => all.indexOf(value) === index;
