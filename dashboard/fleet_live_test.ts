/** Ten thousand devices that send a thousand readings a second, and a page that stays free. */
import { ok } from "node:assert/strict";
import type { Browser, Page } from "playwright-core";
import { eventually, goTo, openBrowser, startWorld } from "./testing/world.ts";

const options = { sanitizeOps: false, sanitizeResources: false };
const DEVICES = 10_000;
const PER_SECOND = 1_000;
/** Devices in one request; four requests a second. */
const PER_REQUEST = 250;
const SENDERS = 4;
const WATCHED_MS = 12_000;

const nameOf = (index: number) => `sensor-${String(index).padStart(5, "0")}`;
const line = (index: number, ts: number) =>
  `{"device":"${nameOf(index)}","every_ms":10000,"ts":${ts},"temperature_c":${
    20 + index % 90 / 10
  },"humidity_pct":${40 + index % 30}}`;

/** Sends for `from` … `to` as NDJSON. */
async function sendFleet(url: string, from: number, to: number, ts: number): Promise<void> {
  const lines = Array.from({ length: to - from }, (_, offset) => line((from + offset) % DEVICES, ts));
  const response = await fetch(`${url}/v1/readings`, {
    method: "POST",
    headers: { "content-type": "application/x-ndjson" },
    body: `${lines.join("\n")}\n`,
  });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`ingest answered ${response.status}`);
}

Deno.test(
  "10,000 devices at 1,000 readings/s leave the page's main thread free: no task over 100 ms",
  options,
  async () => {
    await using world = await startWorld("--no-board");
    for (let from = 0; from < DEVICES; from += 500) {
      await sendFleet(
        world.ingestUrl,
        from,
        from + 500,
        Date.now(),
      );
    }
    await eventually(
      "the fleet is published",
      async () => await (await fetch(`${world.dashboardUrl}/api/fleet`)).json(),
      (fleet) => fleet?.devices?.length === DEVICES,
      60_000,
    );
    await using browser = await openBrowser();
    await using sheet = await browser.open(1440, "light");
    const { page, complaints } = sheet;
    await goTo(page, `${world.dashboardUrl}/`);
    await page.locator("tr.device-row").first().waitFor();
    await page.waitForTimeout(3_000);
    const watch = await watchTasks(browser.browser);
    const valuesBefore = await cells(page);
    let [sent, lastMs] = [0, 0];
    const startMs = performance.now();
    const sender = async (first: number) => {
      for (let turn = first; performance.now() - startMs < WATCHED_MS; turn += SENDERS) {
        const from = turn * PER_REQUEST % DEVICES;
        await sendFleet(world.ingestUrl, from, from + PER_REQUEST, Date.now());
        sent += PER_REQUEST;
        lastMs = performance.now();
        const aheadMs = (turn + SENDERS) * PER_REQUEST / PER_SECOND * 1_000 - (performance.now() - startMs);
        if (aheadMs > 0) await new Promise((resolve) => setTimeout(resolve, aheadMs));
      }
    };
    const reader = async () => {
      // The page is used meanwhile.
      for (let turn = 0; performance.now() - startMs < WATCHED_MS; turn++) {
        await page.mouse.wheel(0, turn % 3 === 2 ? -9_000 : 6_000);
        await new Promise((resolve) => setTimeout(resolve, 1_500));
      }
    };
    await Promise.all([...Array.from({ length: SENDERS }, (_, first) => sender(first)), reader()]);
    const rate = sent / (lastMs - startMs) * 1_000;
    await page.evaluate("scrollTo(0, 0)");
    await page.waitForTimeout(1_500);
    const tasks = await watch.end();
    const rows = await page.locator("tr.device-row").count();
    const longest = Math.max(0, ...tasks.map(({ cpuMs }) => cpuMs));
    const longestWall = Math.max(0, ...tasks.map(({ wallMs }) => wallMs));
    console.log(
      `${Math.round(rate)} readings/s; ${tasks.length} tasks on the main thread, the longest ${
        longest.toFixed(1)
      } ms of ` +
        `processor (${
          longestWall.toFixed(1)
        } ms by the clock of a machine that others use); ${rows} rows exist`,
    );
    // A machine that does other things too sends a little less; far less would prove nothing.
    ok(rate > 0.75 * PER_SECOND, `only ${Math.round(rate)} readings/s were sent`);
    ok(longest <= 100, `a task took ${Math.round(longest)} ms`);
    ok(rows < 100, `${rows} rows exist`);
    ok((await cells(page)).join() !== valuesBefore.join(), "the rows have moved on");
    ok(await page.locator(".live-mark").innerText() === "Live");
    ok(complaints.length === 0, complaints.join("\n"));
  },
);

async function cells(page: Page): Promise<string[]> {
  return await page.locator("td.c-heard").allInnerTexts();
}

interface Task {
  /** Of the processor: what the page itself costs, however busy the machine is. */
  readonly cpuMs: number;
  readonly wallMs: number;
}

interface TraceEvent {
  readonly name: string;
  readonly ph: string;
  readonly pid: number;
  readonly tid: number;
  /** Microseconds. */
  readonly dur?: number;
  readonly tdur?: number;
  readonly args?: { readonly name?: string };
}

/** Traces the main thread of the page until `end`. */
async function watchTasks(browser: Browser) {
  const session = await browser.newBrowserCDPSession();
  const events: TraceEvent[] = [];
  session.on("Tracing.dataCollected", ({ value }) => events.push(...value as unknown as TraceEvent[]));
  await session.send("Tracing.start", {
    transferMode: "ReportEvents",
    traceConfig: { includedCategories: ["toplevel", "__metadata"], excludedCategories: ["*"] },
  });
  return {
    async end(): Promise<Task[]> {
      const complete = new Promise((resolve) => session.once("Tracing.tracingComplete", resolve));
      await session.send("Tracing.end");
      await complete;
      const mains = new Set(
        events.filter(({ name, args }) => name === "thread_name" && args?.name === "CrRendererMain")
          .map(({ pid, tid }) => `${pid} ${tid}`),
      );
      return events
        .filter(({ name, ph, pid, tid }) => ph === "X" && /RunTask$/.test(name) && mains.has(`${pid} ${tid}`))
        .map(({ dur, tdur }) => ({ cpuMs: (tdur ?? dur ?? 0) / 1_000, wallMs: (dur ?? 0) / 1_000 }));
    },
  };
}
