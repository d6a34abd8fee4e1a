/**
 * The README's pictures, from a seeded run: `deno task screenshots`. Boards, weather and incidents are always the same;
 * only the times are of now. Needs Debian's chromium.
 */
import type { Page } from "playwright-core";
import { eventually, goTo, openBrowser, send, startWorld, type World } from "./world.ts";
import { machineClock } from "../../platform/clock.ts";

const FOLDER = new URL("../../docs/images/", import.meta.url);
const MINUTE = 60_000;

interface Picture {
  readonly name: string;
  readonly width: number;
  readonly scheme: "light" | "dark";
  show(page: Page, world: World): Promise<void>;
}

const pictures: readonly Picture[] = [
  {
    name: "overview",
    width: 1440,
    scheme: "light",
    show: (page, { dashboardUrl }) => goTo(page, `${dashboardUrl}/`),
  },
  {
    name: "device",
    width: 1440,
    scheme: "light",
    show: (page, { dashboardUrl }) =>
      goTo(page, `${dashboardUrl}/device?device=greenhouse&span=${6 * 60 * MINUTE}`),
  },
  {
    name: "explain",
    width: 1440,
    scheme: "dark",
    show: (page, { dashboardUrl }) =>
      goTo(page, `${dashboardUrl}/explain?device=greenhouse&size=1m&start=${incidentMs + 2 * MINUTE}`),
  },
  {
    name: "bench",
    width: 1440,
    scheme: "light",
    show: async (page, { dashboardUrl }) => {
      await goTo(page, `${dashboardUrl}/bench`);
      await page.getByRole("button", { name: "Wi-Fi off" }).click();
      await page.waitForTimeout(50_000);
    },
  },
  {
    name: "overview-phone",
    width: 390,
    scheme: "dark",
    show: (page, { dashboardUrl }) => goTo(page, `${dashboardUrl}/`),
  },
];

const nowMs = Math.floor(machineClock.nowMs() / MINUTE) * MINUTE;
const incidentMs = nowMs - 90 * MINUTE;

/** A greenhouse with a day's curve, an hour of silence, a failing sensor, impossible values and a late batch. */
async function tellIncidents({ ingestUrl }: World): Promise<void> {
  const startMs = nowMs - 6 * 60 * MINUTE;
  const late: unknown[] = [];
  let batch: unknown[] = [];
  for (let seq = 0; seq < 6 * 60 * 6; seq++) {
    const ts = startMs + seq * 10_000;
    const minute = (ts - startMs) / MINUTE;
    const wave = 40 - Math.abs(minute % 80 - 40);
    const temperature = Math.round((18 + minute / 40 + wave / 12 + (seq * 7919 % 13 - 6) / 20) * 10) / 10;
    const humidity = Math.round((64 - minute / 20 - wave / 9 + (seq * 104_729 % 11 - 5) / 10) * 10) / 10;
    if (minute >= 150 && minute < 195) continue; // never came
    const reading = minute >= 100 && minute < 112
      ? { seq, ts, error: "checksum" }
      : ts === incidentMs + 130_000
      ? { seq, ts, temperature_c: -200, humidity_pct: 255 }
      : { seq, ts, temperature_c: temperature, humidity_pct: humidity };
    if (ts === incidentMs + 140_000 || ts === incidentMs + 150_000) late.push(reading);
    else batch.push(reading);
    if (batch.length === 180) {
      await send(ingestUrl, {
        device: "greenhouse",
        boot: 5_212_873_469_012_345,
        every_ms: 10_000,
        readings: batch,
      });
      batch = [];
    }
  }
  await send(ingestUrl, {
    device: "greenhouse",
    boot: 5_212_873_469_012_345,
    every_ms: 10_000,
    readings: [...batch, { seq: 2_159, ts: nowMs - 1_000, temperature_c: 29.4, humidity_pct: 46.1 }].slice(
      -180,
    ),
  });
  await send(ingestUrl, {
    device: "greenhouse",
    boot: 5_212_873_469_012_345,
    every_ms: 10_000,
    readings: late,
  });
  await send(ingestUrl, {
    device: "cellar",
    ts: nowMs - 3 * 60 * MINUTE,
    every_ms: 10_000,
    temperature_c: 11.2,
    humidity_pct: 71,
  });
}

async function main(): Promise<void> {
  await Deno.mkdir(FOLDER, { recursive: true });
  await using world = await startWorld("--devices", "3", "--history", "40m");
  await tellIncidents(world);
  await eventually(
    "the boards have caught up",
    async () => await (await fetch(`${world.dashboardUrl}/api/fleet`)).json(),
    (fleet) =>
      fleet?.devices?.filter((row: unknown[]) => (row[5] as number) > machineClock.nowMs() - 15_000).length >=
        3,
    280_000,
  );
  await using browser = await openBrowser();
  for (const { name, width, scheme, show } of pictures) {
    await using sheet = await browser.open(width, scheme);
    const { page } = sheet;
    await show(page, world);
    await page.waitForTimeout(2_500);
    await page.screenshot({ path: new URL(`${name}.png`, FOLDER).pathname });
    for (const complaint of sheet.complaints) console.error(`${name}: ${complaint}`);
    console.log(`docs/images/${name}.png`);
  }
}

await main();
Deno.exit(0);
