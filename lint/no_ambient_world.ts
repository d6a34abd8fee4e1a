/**
 * Clock, randomness and timers come in through a port (`core/ports/clock.ts`, `core/ports/random.ts`), so that a run can
 * be repeated bit for bit. Only `platform/` touches the machine's own; `bench/` measures it, live tests need real
 * processes, and the pages in a browser have a `world.js` of their own. Everything else, ordinary tests included, has to be handed a clock.
 *
 * A linter sees names, not values, so this finds what honest code does: `Date.now()`, `const { now } = Date`,
 * `globalThis.setTimeout`, `import … from "node:timers"`. A microtask (`queueMicrotask`) is no timer: it runs in an order
 * that the program alone decides.
 */
import { type Place, placeOf } from "./rooms.ts";

const CLOCK = "time from the `Clock` port (`core/ports/clock.ts`; tests: `sim/clock.ts`)";
const RANDOM = "randomness from the `Random` port (`core/ports/random.ts`; tests: `sim/random.ts`)";
const TIMER = "`clock.sleep` or `clock.after` of the `Clock` port (`core/ports/clock.ts`)";

/** Members of global objects, with what to use in their place. */
const members: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Date: { now: CLOCK },
  performance: { now: CLOCK, timeOrigin: CLOCK },
  Math: { random: RANDOM },
  crypto: { getRandomValues: RANDOM, randomUUID: RANDOM },
  AbortSignal: { timeout: TIMER },
  Deno: { osUptime: CLOCK, cron: TIMER },
  process: { hrtime: CLOCK, uptime: CLOCK },
};

const timers: Readonly<Record<string, string>> = {
  setTimeout: TIMER,
  setInterval: TIMER,
  setImmediate: TIMER,
  requestAnimationFrame: TIMER,
};

/** Modules that give them, and the names that are meant; `*` the whole module. */
const modules: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "node:timers": { "*": TIMER },
  "node:timers/promises": { "*": TIMER },
  "node:perf_hooks": { "*": CLOCK },
  "node:crypto": {
    randomBytes: RANDOM,
    randomFill: RANDOM,
    randomFillSync: RANDOM,
    randomInt: RANDOM,
    randomUUID: RANDOM,
    getRandomValues: RANDOM,
    webcrypto: RANDOM,
  },
};

/** What `platform/` is to the services, this file is to the pages in a browser. */
const pageWorld = "dashboard/pages/world.js";

/** Whether a file may use the machine's own clock, randomness and timers. */
export function mayTouchTheMachine(place: Place): boolean {
  return place.room === "platform" || place.room === "bench" || place.isLiveTest || place.path === pageWorld;
}

export const noAmbientWorld: Deno.lint.Rule = {
  create(context) {
    const place = placeOf(context.filename);
    if (place === null || mayTouchTheMachine(place)) return {};
    const report = (node: Deno.lint.Node, what: string, instead: string) =>
      context.report({
        node,
        message: `${what} is the machine's own and can't be repeated; use ${instead}`,
        hint:
          "Only platform/, bench/, *_live_test.ts and the pages' world.js may touch the machine's clock, randomness and timers.",
      });
    return {
      Identifier(node) {
        const instead = own(timers, node.name);
        if (instead !== undefined && !isOnlyAName(node)) report(node, node.name, instead);
      },
      MemberExpression(node) {
        const [object, property] = [globalName(node.object), propertyName(node)];
        if (object === null || property === null) return;
        if (object === "globalThis") {
          const instead = own(timers, property);
          if (instead !== undefined) report(node, `globalThis.${property}`, instead);
          return;
        }
        const instead = own(own(members, object) ?? {}, property);
        if (instead !== undefined) report(node, `${object}.${property}`, instead);
        const now = object === "Temporal" && property === "Now";
        if (now) report(node, "Temporal.Now", CLOCK);
      },
      VariableDeclarator(node) {
        if (node.id.type !== "ObjectPattern" || node.init === null) return;
        const object = globalName(node.init);
        if (object === null) return;
        const watched = object === "globalThis" ? timers : own(members, object) ?? {};
        for (const property of node.id.properties) {
          if (property.type !== "Property" || property.key.type !== "Identifier") continue;
          const instead = own(watched, property.key.name);
          if (instead !== undefined) report(property, `${object}.${property.key.name}`, instead);
        }
      },
      NewExpression(node) {
        if (globalName(node.callee) === "Date" && node.arguments.length === 0) {
          report(node, "new Date() without arguments", CLOCK);
        }
      },
      CallExpression(node) {
        if (node.callee.type === "Identifier" && node.callee.name === "Date") report(node, "Date()", CLOCK);
      },
      ImportDeclaration(node) {
        const watched = own(modules, node.source.value);
        if (watched === undefined) return;
        const whole = watched["*"];
        if (whole !== undefined) return report(node, node.source.value, whole);
        for (const specifier of node.specifiers) {
          if (specifier.type !== "ImportSpecifier" || specifier.imported.type !== "Identifier") continue;
          const instead = own(watched, specifier.imported.name);
          if (instead !== undefined) {
            report(specifier, `${node.source.value}'s ${specifier.imported.name}`, instead);
          }
        }
      },
    };
  },
};

function own<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

/** The global that an expression names: `Date`, `globalThis.Date`. */
function globalName(node: Deno.lint.Node): string | null {
  if (node.type === "Identifier") return node.name;
  if (node.type === "MemberExpression" && globalName(node.object) === "globalThis") return propertyName(node);
  return null;
}

function propertyName(node: Deno.lint.MemberExpression): string | null {
  if (!node.computed && node.property.type === "Identifier") return node.property.name;
  if (node.property.type === "Literal" && typeof node.property.value === "string") return node.property.value;
  return null;
}

/** True for the name of a member, key or method: `world.setTimeout`, `{ setTimeout: … }`. */
function isOnlyAName(node: Deno.lint.Identifier): boolean {
  const parent = node.parent;
  switch (parent.type) {
    case "MemberExpression":
      return parent.property === node && !parent.computed;
    case "Property":
      return parent.key === node && !parent.computed && !parent.shorthand;
    case "PropertyDefinition":
    case "MethodDefinition":
      return parent.key === node && !parent.computed;
    case "TSPropertySignature":
    case "TSMethodSignature":
      return parent.key === node;
    case "ImportSpecifier":
    case "ExportSpecifier":
      return true; // `node:timers` is reported as a whole
    default:
      return false;
  }
}
