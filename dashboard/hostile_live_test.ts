/** Hostile names and hostile SQL, against a running pipeline: harmless, and bounded. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import {
  eventually,
  goTo,
  openBrowser,
  send,
  startWorld,
  widths,
  type Window,
  type World,
} from "./testing/world.ts";

const options = { sanitizeOps: false, sanitizeResources: false };

const names = [
  '<img src=x onerror="alert(1)">',
  '"><script>globalThis.hacked = 1</script>',
  "'; DROP VIEW windows; --",
  "{{constructor.constructor('alert(1)')()}}",
  "../../etc/passwd",
  "%2e%2e%2f?&#=",
  "\u202Egnp.exe",
  "𝒟".repeat(64),
  "javascript:alert(1)",
];

Deno.test("hostile names and queries, with a running pipeline", options, async (t) => {
  await using world = await startWorld("--devices", "1");
  await using window = await openBrowser();
  await t.step(
    "device names are shown as the text that they are, and do nothing",
    () => hostileNames(world, window),
  );
  await t.step(
    "SQL is refused or ended, in bounded memory and time, and the pages go on",
    () => hostileSql(world),
  );
  await t.step("leaving ends a query's process at once", () => leaving(world, window));
});

async function hostileNames(world: World, window: Window): Promise<void> {
  const ts = Math.floor(Date.now() / 60_000) * 60_000 - 120_000;
  for (const device of names) {
    const readings = [0, 1, 2].map((slot) => ({
      seq: slot,
      ts: ts + slot * 40_000,
      temperature_c: 20 + slot,
      humidity_pct: 50,
    }));
    await send(world.ingestUrl, { device, boot: 7, every_ms: 40_000, readings });
  }
  await eventually(
    "all devices are published",
    async () => await (await fetch(`${world.dashboardUrl}/api/fleet`)).json(),
    (fleet) => fleet?.devices?.length === names.length + 1,
  );
  for (const width of widths) {
    await using sheet = await window.open(width, "light");
    const { page, complaints } = sheet;
    for (const view of ["/", "/?view=table"]) {
      await goTo(page, world.dashboardUrl + view);
      await page.getByText(names[0] as string).waitFor();
      const text = await page.locator("main").innerText();
      for (const name of names) ok(text.includes(name), `${name} is missing in ${view}`);
      ok(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "too wide");
    }
    // The narrow page has all of them, the wide one the two that would break it most.
    for (const name of width === widths[0] ? names : [names[0]!, names[7]!]) {
      const device = encodeURIComponent(name);
      for (const path of [`/device?device=${device}`, `/explain?device=${device}&size=1m&start=${ts}`]) {
        await goTo(page, world.dashboardUrl + path);
        ok((await page.locator("main").innerText()).includes(name), `${name} is missing in ${path}`);
        ok(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), `${path} is too wide`);
      }
    }
    equal(await page.evaluate("globalThis.hacked === undefined"), true);
    deepEqual(complaints, []);
  }
  for (const name of names) {
    const query = new URLSearchParams({
      device: name,
      size: "1m",
      from: String(ts),
      to: String(ts + 600_000),
      what: "readings",
      format: "csv",
    });
    const response = await fetch(`${world.dashboardUrl}/download?${query}`);
    match(response.headers.get("content-disposition") ?? "", /^attachment; filename="[A-Za-z0-9._-]+\.csv"$/);
    equal((await response.text()).trim().split("\n").length, 4, `three readings of ${name}`);
  }
}

interface Outcome {
  readonly rows: number;
  readonly error: string;
  readonly tookMs: number;
  /** Most memory that any process of a query had, in bytes. */
  readonly peakBytes: number;
}

/** Processes that `pid` has started, and theirs. */
function childrenOf(pid: number): number[] {
  const found: number[] = [];
  try {
    for (const task of Deno.readDirSync(`/proc/${pid}/task`)) {
      const text = Deno.readTextFileSync(`/proc/${pid}/task/${task.name}/children`);
      for (const child of text.split(" ").filter(Boolean).map(Number)) {
        found.push(child, ...childrenOf(child));
      }
    }
  } catch {
    // It has ended meanwhile.
  }
  return found;
}

function residentBytes(pid: number): number {
  try {
    return Number(Deno.readTextFileSync(`/proc/${pid}/statm`).split(" ")[1]) * 4_096;
  } catch {
    return 0;
  }
}

async function run({ dashboardUrl, process }: World, sql: string, signal?: AbortSignal): Promise<Outcome> {
  const startMs = performance.now();
  let peakBytes = 0;
  const watch = setInterval(() => {
    for (const pid of childrenOf(process.pid)) peakBytes = Math.max(peakBytes, residentBytes(pid));
  }, 20);
  try {
    const response = await fetch(`${dashboardUrl}/api/sql`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ sql }),
      ...signal === undefined ? {} : { signal },
    });
    let [rows, error] = [0, ""];
    for (const line of (await response.text()).trim().split("\n")) {
      const event = JSON.parse(line);
      if (event.kind === "rows") rows += event.rows.length;
      if (event.kind === "error") error = event.message;
      if (event.kind === "end" && event.cut !== null) error = `cut: ${event.cut}`;
    }
    return { rows, error, tookMs: performance.now() - startMs, peakBytes };
  } finally {
    clearInterval(watch);
  }
}

async function hostileSql(world: World): Promise<void> {
  equal((await run(world, "SELECT 42")).rows, 1);
  const listing = () => [...Deno.readDirSync(`${world.folder}/published`)].map(({ name }) => name).sort();
  const before = listing();
  const published = `${world.folder}/published`;
  const refused = [
    "COPY (SELECT 1) TO '/tmp/isotherm-hostile.csv'",
    `COPY (SELECT 1) TO '${published}/x.csv'`,
    `EXPLAIN EXPORT DATABASE '${published}/z'`,
    `/* SELECT */ -- FROM\n EXPORT DATABASE '${published}/w'`,
    `EXPORT DATABASE '${published}/x'`,
    `EXPLAIN ANALYZE COPY (SELECT 1) TO '${published}/y.csv'`,
    "ATTACH '/tmp/isotherm-hostile.duckdb'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET memory_limit = '64GB'",
    "RESET enable_external_access",
    "PRAGMA enable_profiling",
    "CALL pragma_version(); DROP VIEW windows",
    "CREATE TABLE x AS SELECT 1",
    "DROP VIEW windows",
    "SELECT 1; SELECT 2",
    "",
    "SELEC",
    "SELECT * FROM read_text('/etc/passwd')",
    `SELECT * FROM read_text('${world.folder}/log.sqlite')`,
    "SELECT * FROM read_csv('http://169.254.169.254/latest')",
    "SELECT * FROM glob('/**')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT getenv('HOME')",
    "SELECT * FROM sniff_csv('/etc/hosts')",
  ];
  const greedy = [
    "SELECT count(*) FROM unnest(range(1000000000))",
    "SELECT repeat('x', 2000000000)",
    "SELECT length(repeat('x', 2000000000))",
    "SELECT string_agg(a.range::VARCHAR || b.range::VARCHAR) FROM range(100000) a, range(100000) b",
    "SELECT list(range) FROM range(1000000000)",
  ];
  const isRefused = async (sql: string) => {
    const { rows, error, tookMs, peakBytes } = await run(world, sql);
    ok(error !== "" && rows === 0, `${sql}: ${rows} rows, ${error}`);
    ok(tookMs < 20_000, `${sql}: ${Math.round(tookMs)} ms`);
    ok(peakBytes < 950_000_000, `${sql}: ${Math.round(peakBytes / 1e6)} MB`);
    if (/length\(repeat/.test(sql)) match(error, /^The query needs more memory/);
  };
  // As many at a time as are allowed; those that want all memory one after the other.
  for (let from = 0; from < refused.length; from += 3) {
    await Promise.all(refused.slice(from, from + 3).map(isRefused));
  }
  for (const sql of greedy) await isRefused(sql);
  const endless = run(
    world,
    "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT sum(n) FROM t",
  );
  const leave = new AbortController();
  const others = ["a", "b"].map((name) =>
    run(world, `SELECT count(*) FROM range(100000000000) ${name}`, leave.signal).catch((error) => error.name)
  );
  await new Promise((resolve) => setTimeout(resolve, 700));
  match((await run(world, "SELECT 1")).error, /^3 queries are running already/);
  equal((await fetch(`${world.dashboardUrl}/api/about`)).status, 200);
  leave.abort();
  deepEqual(await Promise.all(others), ["AbortError", "AbortError"]);
  // Their places are free at once, while the third goes on until its time is over.
  await eventually("there is room", () => run(world, "SELECT 42"), ({ rows }) => rows === 1, 5_000);
  const { error, tookMs, peakBytes } = await endless;
  match(error, /^The query was ended after 15 s/);
  ok(tookMs < 20_000, `${Math.round(tookMs)} ms`);
  ok(peakBytes < 950_000_000, `${Math.round(peakBytes / 1e6)} MB`);
  const many = await run(world, "SELECT range FROM range(10000000)");
  deepEqual([many.rows, many.error], [5_000, "cut: rows"]);
  equal((await run(world, "SELECT repeat('x', 5000) FROM range(5000)")).error, "cut: bytes");
  deepEqual(listing().filter((name) => !before.includes(name)), []);
  equal((await run(world, "SELECT count(*) FROM windows")).rows, 1);
  ok(world.process.isRunning);
}

async function leaving(world: World, window: Window): Promise<void> {
  await using sheet = await window.open(1440, "light");
  const { page } = sheet;
  await goTo(page, `${world.dashboardUrl}/sql?q=SELECT%201`);
  await page.getByText("1 row in").waitFor();
  const busy = () => Promise.resolve(childrenOf(world.process.pid).filter((pid) => isWorking(pid)).length);
  await page.locator("textarea").fill("SELECT count(*) FROM range(100000000000)");
  await page.keyboard.press("Control+Enter");
  await eventually("it works", busy, (count) => count === 1, 5_000);
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.getByText("The query was cancelled.").first().waitFor();
  await eventually("nothing works any more", busy, (count) => count === 0, 3_000);
  await page.keyboard.press("Control+Enter");
  await page.locator("textarea").focus();
  await page.keyboard.press("Control+Enter");
  await eventually("it works again", busy, (count) => count === 1, 5_000);
  await page.close();
  await eventually("nothing works after leaving", busy, (count) => count === 0, 3_000);
}

const lastTicks = new Map<number, number>();
/** It has used the processor since the last look. */
function isWorking(pid: number): boolean {
  try {
    const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]?.split(" ") ?? [];
    const ticks = Number(fields[11]) + Number(fields[12]);
    const before = lastTicks.get(pid) ?? 0;
    lastTicks.set(pid, ticks);
    return before > 0 && ticks - before >= 5;
  } catch {
    return false;
  }
}
