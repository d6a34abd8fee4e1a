/** Every view, with a running pipeline, in a real browser, narrow and wide, light and dark. */
import { deepEqual, ok } from "node:assert/strict";
import axe from "axe-core";
import type { Page } from "playwright-core";
import { eventually, goTo, openBrowser, send, startWorld, widths, type World } from "./testing/world.ts";

const options = { sanitizeOps: false, sanitizeResources: false };

interface Finding {
  readonly id: string;
  readonly impact: string;
  readonly targets: readonly string[];
}

async function settled({ dashboardUrl, ingestUrl }: World): Promise<number> {
  await send(ingestUrl, { device: "desk", temperature_c: 21.5, humidity_pct: 40 });
  await send(ingestUrl, { device: "hot", ts: 1_763_950_000_123, temperature_c: 200 });
  const ask = async () => await (await fetch(`${dashboardUrl}/api/fleet`)).json();
  const fleet = await eventually(
    "the boards have caught up",
    ask,
    (fleet) =>
      fleet !== null && fleet.devices.length === 4 && fleet.devices.every((row: unknown[]) =>
        row[4] !== null
      ) &&
      fleet.devices.some((row: unknown[]) =>
        row[0] === "board-1" && (row[5] as number) > Date.now() - 20_000
      ),
    60_000,
  );
  return Math.floor((fleet.logMs - 10 * 60_000) / 60_000) * 60_000;
}

Deno.test(
  "each view is whole at both widths and in both themes, without a serious finding of axe",
  options,
  async (t) => {
    await using world = await startWorld("--devices", "2", "--history", "15m");
    await Deno.writeTextFile(
      `${world.folder}/alerts.json`,
      JSON.stringify({ rules: [{ name: "too warm", above: -40 }, { name: "silent", silent_for_s: 600 }] }),
    );
    const startMs = await settled(world);
    await using browser = await openBrowser();
    const query = encodeURIComponent(
      "SELECT device, window_start, temperature_c_mean FROM windows WHERE window_size = '1m'",
    );
    const views = {
      overview: "/",
      table: "/?view=table",
      device: "/device?device=board-1",
      explain: `/explain?device=board-1&size=1m&start=${startMs}`,
      "explain, nothing there": "/explain?device=desk&size=1m&start=1763950000000",
      pipeline: "/pipeline",
      sql: `/sql?q=${query}`,
      alerts: "/alerts",
      bench: "/bench",
    };
    for (const width of widths) {
      const scheme = width === widths[0] ? "dark" : "light";
      for (const [name, path] of Object.entries(views)) {
        await t.step(`${name}, ${width} px`, async () => {
          await using sheet = await browser.open(width, scheme);
          const { page, complaints } = sheet;
          await goTo(page, world.dashboardUrl + path);
          await page.waitForTimeout(700);
          const overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth") as number;
          ok(overflow <= 0, `the page is ${overflow} px too wide`);
          deepEqual(await findings(page, "axe.run()"), []);
          await page.emulateMedia({ colorScheme: scheme === "dark" ? "light" : "dark" });
          deepEqual(await findings(page, 'axe.run({ runOnly: ["color-contrast"] })'), []);
          deepEqual(complaints, []);
        });
      }
    }
  },
);

/** What axe finds, of serious and critical impact. */
async function findings(page: Page, run: string): Promise<Finding[]> {
  const all = await page.evaluate(`(() => { ${axe.source}; return ${run}; })().then(({ violations }) =>
    violations.map(({ id, impact, nodes }) => ({ id, impact, targets: nodes.map(({ target }) => String(target)) })))`);
  return (all as Finding[]).filter(({ impact }) => impact === "serious" || impact === "critical");
}

Deno.test(
  "the first painting comes soon, with less than 250 KB of script and style",
  options,
  async () => {
    await using world = await startWorld("--devices", "1", "--history", "10m");
    await eventually(
      "a device is there",
      async () => await (await fetch(`${world.dashboardUrl}/api/fleet`)).json(),
      (fleet) => fleet?.devices?.length > 0,
    );
    await using browser = await openBrowser();
    for (const path of ["/", "/device?device=board-1", "/sql", "/pipeline"]) {
      await using sheet = await browser.open(1440, "light");
      const { page } = sheet;
      await goTo(page, world.dashboardUrl + path);
      await page.waitForTimeout(1_000);
      const { paintMs, bytes } = await page.evaluate(`(() => {
      const [paint] = performance.getEntriesByName("first-contentful-paint");
      const parts = performance.getEntriesByType("resource").filter(({ name }) => /\\.(js|css)$/.test(new URL(name).pathname));
      return { paintMs: paint.startTime, bytes: parts.reduce((sum, part) => sum + part.decodedBodySize, 0) };
    })()`) as { paintMs: number; bytes: number };
      // The aim is 1 s on an idle machine, see the line below; a busy one must not fail the test.
      ok(paintMs < 5_000, `${path}: first painting after ${Math.round(paintMs)} ms`);
      ok(bytes < 250_000, `${path}: ${bytes} bytes of script and style`);
      console.log(
        `${path}: first painting after ${
          Math.round(paintMs)
        } ms, ${bytes} bytes of script and style, not compressed`,
      );
    }
  },
);

Deno.test(
  "the keyboard alone finds a device, walks its chart and gets a window explained",
  options,
  async () => {
    await using world = await startWorld("--devices", "1", "--history", "15m");
    await settledBoard(world);
    await using browser = await openBrowser();
    await using sheet = await browser.open(1440, "light");
    const { page, complaints } = sheet;
    await goTo(page, `${world.dashboardUrl}/`);
    await page.keyboard.press("Tab");
    deepEqual(await page.evaluate("document.activeElement.textContent"), "Skip to the content");
    await page.locator("a.tile").first().focus();
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
  },
);

async function settledBoard({ dashboardUrl }: World): Promise<void> {
  await eventually(
    "the board has caught up",
    async () => await (await fetch(`${dashboardUrl}/api/fleet`)).json(),
    (fleet) =>
      fleet?.devices?.some((row: unknown[]) =>
        row[0] === "board-1" && (row[5] as number) > Date.now() - 20_000
      ),
    60_000,
  );
}
