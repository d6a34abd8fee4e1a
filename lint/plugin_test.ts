import { deepEqual, match } from "node:assert/strict";
import plugin from "./plugin.ts";

/** Ids of the rules that a file breaks, without the plugin's name. */
function broken(path: string, source: string): string[] {
  return Deno.lint.runPlugin(plugin, path, source).map((found) => found.id.replace("isotherm/", ""));
}

function passes(path: string, source: string): void {
  deepEqual(broken(path, source), [], `${path}: ${source}`);
}
function isAmbient(path: string, source: string): void {
  deepEqual(broken(path, source), ["no-ambient-world"], `${path}: ${source}`);
}
function isMisdirected(path: string, source: string): void {
  deepEqual(broken(path, source), ["import-directions"], `${path}: ${source}`);
}

Deno.test("the machine's clock is out of bounds outside platform/", () => {
  isAmbient("aggregator/loop.ts", "const now = Date.now();");
  isAmbient("aggregator/loop.ts", "const now = new Date();");
  isAmbient("aggregator/loop.ts", "const now = Date();");
  isAmbient("aggregator/loop.ts", "const now = performance.now();");
  isAmbient("aggregator/loop.ts", "const now = globalThis.Date.now();");
  isAmbient("aggregator/loop.ts", 'const now = Date["now"]();');
  isAmbient("aggregator/loop.ts", "const { now } = Date;");
  isAmbient("aggregator/loop.ts", "call(Date.now);");
  isAmbient("aggregator/loop.ts", "const now = Temporal.Now.instant();");
  isAmbient("aggregator/loop.ts", "const t = process.hrtime();");
  isAmbient("aggregator/loop.ts", "const t = Deno.osUptime();");
  isAmbient("aggregator/loop.ts", 'import { performance } from "node:perf_hooks";');
});

Deno.test("a date that is made from a given time is fine", () => {
  passes("aggregator/loop.ts", "const date = new Date(nowMs).toISOString();");
  passes("aggregator/loop.ts", "const ms = Date.UTC(2020, 1, 1);");
  passes("aggregator/loop.ts", "const ms = clock.nowMs(); const d = Date.parse(text);");
  passes("aggregator/loop.ts", "const { now } = clock;");
});

Deno.test("the machine's randomness is out of bounds outside platform/", () => {
  isAmbient("ingest/mod.ts", "const x = Math.random();");
  isAmbient("ingest/mod.ts", "crypto.getRandomValues(new Uint8Array(4));");
  isAmbient("ingest/mod.ts", "const id = crypto.randomUUID();");
  isAmbient("ingest/mod.ts", 'import { randomBytes } from "node:crypto";');
  passes("ingest/mod.ts", 'import { createHash } from "node:crypto";');
  passes("ingest/mod.ts", 'await crypto.subtle.digest("SHA-256", bytes);');
  passes("ingest/mod.ts", "const x = random.uint32() + Math.max(1, 2);");
});

Deno.test("the machine's timers are out of bounds outside platform/", () => {
  isAmbient("ingest/mod.ts", "setTimeout(() => {}, 10);");
  isAmbient("ingest/mod.ts", "setInterval(() => {}, 10);");
  isAmbient("ingest/mod.ts", "const later = setTimeout;");
  isAmbient("ingest/mod.ts", "globalThis.setTimeout(() => {}, 10);");
  isAmbient("ingest/mod.ts", "fetch(url, { signal: AbortSignal.timeout(10) });");
  isAmbient("ingest/mod.ts", 'import { setTimeout as later } from "node:timers/promises";');
  isAmbient("ingest/mod.ts", 'import * as timers from "node:timers";');
  passes("ingest/mod.ts", "clock.after(10, () => {}); queueMicrotask(() => {});");
  passes("sim/board/world.ts", "const host = { setTimeout: (f: () => void) => clock.after(0, f) };");
  passes("sim/board/world.ts", "interface Host { setTimeout(task: () => void): void } host.setTimeout(f);");
});

Deno.test("platform/, bench/ and live tests may touch the machine, ordinary tests may not", () => {
  const source = "setTimeout(() => Date.now() + Math.random(), 10);";
  passes("platform/clock.ts", source);
  passes("platform/testing/process.ts", source);
  passes("bench/run.ts", source);
  passes("platform/kafka/log_live_test.ts", source);
  passes("dev/kafka_live_test.ts", source);
  passes("dashboard/pages/world.js", source);
  isAmbient("dashboard/pages/fleet.js", "setTimeout(() => {}, 10);");
  isAmbient("ingest/mod_test.ts", "setTimeout(() => {}, 10);");
  isAmbient("core/testing/builders.ts", "const now = Date.now();");
  isAmbient("dev/platform.ts", "const now = Date.now();");
  passes("dashboard/pages/world.js", source);
  isAmbient("dashboard/pages/live.js", "const now = Date.now();");
});

Deno.test("core imports nothing from outside", () => {
  passes("core/judge.ts", 'import { assert } from "./assert.ts";');
  passes("core/ports/log.ts", 'import type { Row } from "../rows.ts";');
  passes(
    "core/judge_test.ts",
    'import { equal } from "node:assert/strict"; import { x } from "../sim/random.ts";',
  );
  passes("core/testing/log_contract.ts", 'import { equal } from "node:assert/strict";');
  isMisdirected("core/judge.ts", 'import { equal } from "node:assert/strict";');
  isMisdirected("core/judge.ts", 'import { Hono } from "hono";');
  isMisdirected("core/judge.ts", 'import type { Clock } from "../platform/clock.ts";');
  isMisdirected("core/judge.ts", 'export * from "../sim/clock.ts";');
  isMisdirected("core/judge.ts", 'export { x } from "../ingest/mod.ts";');
  isMisdirected("core/judge.ts", 'const m = await import("../ingest/mod.ts");');
  isMisdirected("core/judge_test.ts", 'import { openStore } from "../platform/duckdb/store.ts";');
});

Deno.test("services import core and never each other", () => {
  for (const service of ["ingest", "aggregator", "dashboard", "sql"]) {
    passes(
      `${service}/mod.ts`,
      'import { limits } from "../core/limits.ts"; import { x } from "./config.ts";',
    );
    for (const other of ["ingest", "aggregator", "dashboard"].filter((name) => name !== service)) {
      isMisdirected(`${service}/mod.ts`, `import { x } from "../${other}/mod.ts";`);
      isMisdirected(`${service}/main.ts`, `import { x } from "../${other}/mod.ts";`);
      isMisdirected(`${service}/mod_test.ts`, `import { x } from "../${other}/mod.ts";`);
    }
  }
});

Deno.test("only a main.ts, tests and the compositions join a service with platform/", () => {
  const source = 'import { systemClock } from "../platform/clock.ts";';
  isMisdirected("ingest/mod.ts", source);
  isMisdirected("import/upload.ts", source);
  isMisdirected("firmware/pack.ts", source);
  passes("ingest/main.ts", source);
  passes("ingest/mod_test.ts", source);
  passes("import/main.ts", source);
  passes("dev/pipeline.ts", source);
  passes("sim/world.ts", source);
  passes("dev/pipeline.ts", 'import a from "../ingest/mod.ts"; import b from "../aggregator/mod.ts";');
});

Deno.test("platform/ knows no service", () => {
  passes("platform/service.ts", 'import type { Trace } from "../core/ports/trace.ts";');
  isMisdirected("platform/service.ts", 'import { createIngest } from "../ingest/mod.ts";');
});

Deno.test("nobody imports sim/ except sim/, dev/ and tests", () => {
  passes("sim/world.ts", 'import { x } from "./clock.ts"; import { y } from "./board/live.ts";');
  passes("dev/pipeline.ts", 'import { runLiveBoards } from "../sim/board/live.ts";');
  passes("aggregator/mod_test.ts", 'import { x } from "../sim/clock.ts";');
  passes("platform/sqlite_log_test.ts", 'import { x } from "../sim/random.ts";');
  isMisdirected("aggregator/mod.ts", 'import { x } from "../sim/clock.ts";');
  isMisdirected("aggregator/main.ts", 'import { x } from "../sim/clock.ts";');
  isMisdirected("platform/clock.ts", 'import { x } from "../sim/clock.ts";');
});

Deno.test("only platform/ imports the log's and the store's packages, by any spelling", () => {
  const specifiers = [
    "kafkajs",
    "npm:kafkajs@2.2.4",
    "@duckdb/node-api",
    "npm:@duckdb/node-bindings",
    "node:sqlite",
  ];
  for (const specifier of specifiers) {
    passes("platform/thing.ts", `import x from "${specifier}";`);
    isMisdirected("aggregator/mod.ts", `import x from "${specifier}";`);
    isMisdirected("dev/pipeline.ts", `import type x from "${specifier}";`);
    isMisdirected("sim/store_test.ts", `import x from "${specifier}";`);
  }
  isMisdirected("dev/board.ts", 'import x from "@micropython/micropython-webassembly-pyscript";');
});

Deno.test("the oracle imports nothing of core/", () => {
  passes("sim/oracle.ts", 'import { x } from "./random.ts";');
  passes("sim/world.ts", 'import { x } from "../core/judge.ts";');
  isMisdirected("sim/oracle.ts", 'import { x } from "../core/judge.ts";');
  isMisdirected("sim/oracle_windows.ts", 'import type { x } from "../core/rows.ts";');
  isMisdirected("sim/oracle/windows.ts", 'import { x } from "../../core/rows.ts";');
});

Deno.test("a file is known by its place in the project, wherever the project lies", () => {
  const root = decodeURIComponent(new URL("../", import.meta.url).pathname);
  isAmbient(`${root}ingest/mod.ts`, "Date.now();");
  passes(`${root}platform/clock.ts`, "Date.now();");
  passes("/elsewhere/ingest/mod.ts", "Date.now();");
});

Deno.test("a finding says what to use in its place", () => {
  const found = Deno.lint.runPlugin(plugin, "ingest/mod.ts", "Date.now();");
  match(found[0]?.message ?? "", /Date\.now .* use time from the `Clock` port/);
});
