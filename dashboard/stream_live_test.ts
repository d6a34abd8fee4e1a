/** A broken live stream: the page says so, goes on by itself, and has every point once. */
import { deepEqual, equal, ok } from "node:assert/strict";
import {
  eventually,
  goTo,
  openBrowser,
  send,
  startPassage,
  startWorld,
  type World,
} from "./testing/world.ts";

const options = { sanitizeOps: false, sanitizeResources: false };
const MINUTE = 60_000;

Deno.test("the live stream, with a running pipeline", options, async (t) => {
  await using world = await startWorld("--no-board");
  await t.step(
    "one that breaks resumes without a lost or doubled point, and the page says when it isn't live",
    () => brokenPage(world),
  );
  await t.step(
    "it goes on behind the last id: every closed window comes exactly once",
    () => resumedStream(world),
  );
});

async function brokenPage(world: World): Promise<void> {
  // A device that is an hour ahead of nobody: it sends a minute of the last hour at each step, so windows close quickly.
  const baseMs = Math.floor(Date.now() / MINUTE) * MINUTE - 50 * MINUTE;
  let slot = 0;
  const sendMinutes = async (minutes: number) => {
    const end = slot + minutes * 6;
    while (slot < end) {
      const readings = Array.from(
        { length: 6 },
        () => ({ seq: slot, ts: baseMs + slot++ * 10_000, temperature_c: 20 + slot % 7, humidity_pct: 50 }),
      );
      await send(world.ingestUrl, { device: "desk", boot: 5, every_ms: 10_000, readings });
      await new Promise((resolve) => setTimeout(resolve, 120));
    }
  };
  await sendMinutes(5);
  await eventually(
    "it is published",
    async () => await (await fetch(`${world.dashboardUrl}/api/fleet`)).json(),
    (fleet) => fleet?.devices?.length === 1,
  );
  await using passage = startPassage(Number(new URL(world.dashboardUrl).port));
  await using browser = await openBrowser();
  await using sheet = await browser.open(1440, "light");
  const { page } = sheet;
  await goTo(page, `${passage.url}/device?device=desk&span=${6 * 60 * MINUTE}`);
  await page.getByText("These windows as a table").click();
  // Minutes after the newest reading are there as well, without readings.
  const shown = async () =>
    (await allShown()).filter(([startMs]) => startMs < baseMs + Math.ceil(slot / 6) * MINUTE);
  const allShown = () =>
    page.evaluate(`[...document.querySelectorAll("details tbody tr")].map((row) => [
      Number(new URL(row.querySelector("a").href).searchParams.get("start")), Number(row.children[1].textContent), row.children[2].textContent]).reverse()`) as Promise<
      [number, number, string][]
    >;
  const live = () => page.locator(".live-mark").innerText();
  await eventually("it is live", live, (text) => text === "Live");
  await sendMinutes(4);
  for (let round = 0; round < 3; round++) {
    passage.cut();
    await eventually(
      "the page says that it isn't live",
      live,
      (text) => text.startsWith("Not live"),
      10_000,
    );
    await sendMinutes(4);
    passage.mend();
    await eventually("it is live again", live, (text) => text === "Live", 20_000);
    await sendMinutes(3);
  }
  const minutes = slot / 6;
  await eventually(
    "all minutes are shown",
    shown,
    (rows) => rows.length === minutes && rows.every(([, readings]) => readings === 6),
    20_000,
  );
  const rows = await shown();
  deepEqual(
    rows.map(([startMs]) => (startMs - baseMs) / MINUTE),
    Array.from({ length: minutes }, (_, minute) => minute),
  );
  const query = new URLSearchParams({
    device: "desk",
    size: "1m",
    from: String(baseMs),
    to: String(baseMs + 60 * MINUTE),
  });
  const { windows } = await eventually(
    "the files have them too",
    async () => await (await fetch(`${world.dashboardUrl}/api/windows?${query}`)).json(),
    (answer) => answer.windows.length === minutes,
  );
  deepEqual(rows, windows.map((row: number[]) => [row[0], row[8], (row[2] as number).toFixed(1)]));
}

async function resumedStream(world: World): Promise<void> {
  const baseMs = Math.floor(Date.now() / MINUTE) * MINUTE - 50 * MINUTE;
  let slot = 0;
  const sendMinute = async () => {
    const readings = Array.from(
      { length: 6 },
      () => ({ seq: slot, ts: baseMs + slot++ * 10_000, temperature_c: 20, humidity_pct: 50 }),
    );
    await send(world.ingestUrl, { device: "shelf", boot: 6, every_ms: 10_000, readings });
  };
  const closed: string[] = [];
  let lastId: string | null = null;
  const resets: string[] = [];
  const listen = async (untilClosed: number) => {
    const abort = new AbortController();
    const response = await fetch(`${world.dashboardUrl}/live?window_size=1m&device=shelf`, {
      headers: lastId === null ? {} : { "last-event-id": lastId },
      signal: abort.signal,
    });
    equal(response.headers.get("content-type"), "text/event-stream");
    let rest = "";
    for await (
      const text of (response.body as ReadableStream<Uint8Array>).pipeThrough(
        new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>,
      )
    ) {
      const events = (rest + text).split("\n\n");
      rest = events.pop() as string;
      for (const event of events) {
        const [, id] = /^id: (.+)$/m.exec(event) ?? [];
        const [, name] = /^event: (.+)$/m.exec(event) ?? [];
        const [, data] = /^data: (.+)$/m.exec(event) ?? [];
        if (id === undefined || data === undefined) continue;
        lastId = id;
        if (name === "reset") resets.push(JSON.parse(data).reason);
        const window = JSON.parse(data);
        if (name === "window" && !window.open) closed.push(`${window.window_start} r${window.revision}`);
      }
      if (closed.length >= untilClosed) break;
    }
    abort.abort();
  };
  await sendMinute();
  for (let round = 1; round <= 4; round++) {
    const listening = listen(round * 5);
    for (let minute = 0; minute < 5; minute++) await sendMinute();
    await listening;
    for (let minute = 0; minute < 2; minute++) await sendMinute();
  }
  deepEqual(resets, ["new"]);
  ok(closed.length >= 20);
  equal(new Set(closed).size, closed.length, "none twice");
  const minutes = closed.map((text) => (Date.parse(text.split(" ")[0] as string) - baseMs) / MINUTE);
  deepEqual(
    minutes,
    Array.from({ length: minutes.length }, (_, minute) => minute),
    "none missing, in order",
  );
}
