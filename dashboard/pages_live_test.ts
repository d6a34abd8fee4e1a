/** Every view, with a running pipeline, in a real browser, narrow and wide, light and dark: one pipeline, one browser. */
import { deepEqual, ok } from "node:assert/strict";
import axe from "axe-core";
import type { Page } from "playwright-core";
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

interface Finding {
  readonly id: string;
  readonly impact: string;
  readonly targets: readonly string[];
}

/** Waits until there is something to see everywhere; gives the start of a minute that is closed. */
async function settled({ dashboardUrl, ingestUrl }: World): Promise<number> {
  await send(ingestUrl, { device: "desk", temperature_c: 21.5, humidity_pct: 40 });
  await send(ingestUrl, { device: "hot", ts: 1_763_950_000_123, temperature_c: 200 });
  const ask = async () => await (await fetch(`${dashboardUrl}/api/fleet`)).json();
  const isCaughtUp = (row: unknown[]) => row[0] === "board-1" && (row[5] as number) > Date.now() - 20_000;
  const fleet = await eventually(
    "the boards have caught up",
    ask,
    (fleet) =>
      fleet !== null && fleet.devices.length === 4 &&
      fleet.devices.every((row: unknown[]) => row[4] !== null) && fleet.devices.some(isCaughtUp),
    60_000,
  );
  const alerts = async () => await (await fetch(`${dashboardUrl}/api/alerts`)).json();
  await eventually("the rules have fired", alerts, ({ alerts }) => alerts.length > 0, 60_000);
  return Math.floor((fleet.logMs - 10 * 60_000) / 60_000) * 60_000;
}

Deno.test("the pages, with a running pipeline", options, async (t) => {
  await using world = await startWorld("--devices", "2", "--history", "15m");
  await using receiver = startReceiver();
  const rules = [
    { name: "too warm", above: -40 },
    { name: "silent", silent_for_s: 600 },
    { name: "quiet desk", device: "desk", silent_for_s: 10 },
  ];
  await Deno.writeTextFile(`${world.folder}/alerts.json`, JSON.stringify({ webhook: receiver.url, rules }));
  const startMs = await settled(world);
  await using window = await openBrowser();
  await t.step(
    "the first painting comes soon, with less than 250 KB of script and style",
    () => first(world, window),
  );
  for (const width of widths) {
    await t.step(
      `each view is whole at ${width} px and in both themes, without a serious finding of axe`,
      (t) => everyView(t, world, window, width, startMs),
    );
  }
  await t.step(
    "a view that waits for its data has no serious finding of axe either",
    () => waiting(world, window),
  );
  await t.step(
    "the webhook is told what fires, and the page what became of it",
    () => webhookTold(world, receiver.told),
  );
  await t.step(
    "the keyboard alone finds a device, walks its chart and gets a window explained",
    () => byKeyboard(world, window),
  );
});

const sql = (text: string) => `/sql?q=${encodeURIComponent(text)}`;
const viewsOf = (startMs: number) => ({
  overview: "/",
  table: "/?view=table",
  device: "/device?device=board-1",
  explain: `/explain?device=board-1&size=1m&start=${startMs}`,
  "explain, nothing there": "/explain?device=desk&size=1m&start=1763950000000",
  pipeline: "/pipeline",
  "SQL, lines": sql("SELECT device, window_start, temperature_c_mean FROM windows WHERE window_size = '1m'"),
  "SQL, bars": sql("SELECT device, count(*) AS n, max(readings) AS most FROM windows GROUP BY device"),
  alerts: "/alerts",
  bench: "/bench",
});

interface Told {
  readonly alert_id: string;
  readonly kind: string;
  readonly rule: string;
}

/** A receiver of alerts, and what it was told. */
function startReceiver() {
  const told: Told[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    told.push(await request.json());
    return new Response(null, { status: 204 });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/hook`,
    told,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** What fires after its rule was recorded is told once, and the page knows it; what is older is on the page alone. */
async function webhookTold({ dashboardUrl }: World, told: readonly Told[]): Promise<void> {
  const isQuiet = ({ rule, kind }: Told) => rule === "quiet desk" && kind === "fired";
  await eventually("the receiver was told", () => Promise.resolve(told), (told) => told.some(isQuiet));
  const alerts = async () =>
    (await (await fetch(`${dashboardUrl}/api/alerts`)).json()).alerts as (Told & { delivery: string })[];
  const shown = await eventually(
    "the page knows",
    alerts,
    (alerts) => alerts.some((alert) => isQuiet(alert) && alert.delivery === "delivered"),
  );
  deepEqual(
    told.filter(isQuiet).map(({ alert_id }) => alert_id),
    shown.filter(isQuiet).map(({ alert_id }) => alert_id),
  );
  const past = shown.filter(({ delivery }) => delivery === "none").map(({ alert_id }) => alert_id);
  ok(past.length > 0, "the boards' history has fired too");
  deepEqual(told.filter(({ alert_id }) => past.includes(alert_id)), []);
}

/** One page goes from view to view, as a person does. */
async function everyView(
  t: Deno.TestContext,
  { dashboardUrl }: World,
  window: Window,
  width: number,
  startMs: number,
): Promise<void> {
  const scheme = width === widths[0] ? "dark" : "light";
  await using sheet = await window.open(width, scheme);
  const { page, complaints } = sheet;
  for (const [name, path] of Object.entries(viewsOf(startMs))) {
    await t.step(name, async () => {
      await page.emulateMedia({ colorScheme: scheme });
      await goTo(page, dashboardUrl + path);
      if (path.startsWith("/sql")) await page.getByText("rows in").first().waitFor();
      await page.waitForTimeout(400);
      const overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth") as number;
      ok(overflow <= 0, `the page is ${overflow} px too wide`);
      deepEqual(await findings(page, "axe.run()"), []);
      await page.emulateMedia({ colorScheme: scheme === "dark" ? "light" : "dark" });
      deepEqual(await findings(page, 'axe.run({ runOnly: ["color-contrast"] })'), []);
      deepEqual(complaints.splice(0), []);
    });
  }
}

/** The windows' rows never come. */
async function waiting({ dashboardUrl }: World, window: Window): Promise<void> {
  await using sheet = await window.open(1440, "light");
  const { page } = sheet;
  await page.route("**/api/windows*", () => {});
  for (const path of ["/device?device=board-1", "/bench"]) {
    await goTo(page, dashboardUrl + path);
    await page.locator("[role=img]").first().waitFor({ state: "attached" });
    deepEqual(await findings(page, "axe.run()"), [], path);
  }
}

/** What axe finds, of serious and critical impact. */
async function findings(page: Page, run: string): Promise<Finding[]> {
  const all = await page.evaluate(`(() => { ${axe.source}; return ${run}; })().then(({ violations }) =>
    violations.map(({ id, impact, nodes }) => ({ id, impact, targets: nodes.map(({ target }) => String(target)) })))`);
  return (all as Finding[]).filter(({ impact }) => impact === "serious" || impact === "critical");
}

/** The best of three tries counts: a machine that does other things too makes one of them slow, and not the page. */
async function first({ dashboardUrl }: World, window: Window): Promise<void> {
  for (const path of ["/", "/device?device=board-1", "/sql", "/pipeline"]) {
    const paints: number[] = [];
    let bytes = 0;
    for (let turn = 0; turn < 3 && (paints.length === 0 || Math.min(...paints) > PAINT_MS); turn++) {
      await using sheet = await window.open(1440, "light");
      const { page } = sheet;
      await goTo(page, dashboardUrl + path);
      await page.waitForTimeout(500);
      const found = await page.evaluate(`(() => {
        const [paint] = performance.getEntriesByName("first-contentful-paint");
        const parts = performance.getEntriesByType("resource")
          .filter(({ name }) => /\\.(js|css)$/.test(new URL(name).pathname));
        return { paintMs: paint.startTime, bytes: parts.reduce((sum, part) => sum + part.decodedBodySize, 0) };
      })()`) as { paintMs: number; bytes: number };
      paints.push(Math.round(found.paintMs));
      bytes = found.bytes;
    }
    console.log(`${path}: first painting after ${paints.join(", ")} ms, ${bytes} bytes of script and style`);
    ok(Math.min(...paints) < 5 * PAINT_MS, `${path}: first painting after ${paints.join(", ")} ms`);
    ok(bytes > 20_000 && bytes < 250_000, `${path}: ${bytes} bytes of script and style`);
  }
}

/** The aim for the first painting; the bound of the test is five times as wide, for machines that do other things too. */
const PAINT_MS = 1_000;

async function byKeyboard({ dashboardUrl }: World, window: Window): Promise<void> {
  await using sheet = await window.open(1440, "light");
  const { page, complaints } = sheet;
  await goTo(page, `${dashboardUrl}/`);
  await page.keyboard.press("Tab");
  deepEqual(await page.evaluate("document.activeElement.textContent"), "Skip to the content");
  await page.locator("a.tile", { hasText: "board-1" }).first().focus();
  await page.keyboard.press("Enter");
  await page.locator(".chart").first().waitFor();
  await page.waitForTimeout(1_000);
  await page.locator(".chart").first().focus();
  for (let step = 0; step < 5; step++) await page.keyboard.press("ArrowLeft");
  ok(/readings/.test(await page.locator(".chart").first().getAttribute("aria-label") ?? ""));
  await page.keyboard.press("Enter");
  await page.locator(".answer").waitFor();
  ok(/readings? of 12 expected make/.test(await page.locator(".answer").innerText()));
  deepEqual(complaints, []);
}
