/** The page of a run in a browser. Needs Debian's chromium. */
import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { runScenario } from "../pipeline.ts";
import { drawScenario } from "../scenario.ts";
import { storyPage } from "./page.ts";

const NAME = "<img src=x onerror=document.title='broken'>";

Deno.test({
  name: "in a browser the page follows a reading, asks nobody, and a hostile name is text",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const drawn = drawScenario(2, { devices: 2, hours: 0.1, faults: ["wifi_down", "answer_lost"] });
    const scenario = {
      ...drawn,
      boards: drawn.boards.map((board, i) => ({ ...board, device: `${NAME}${i}` })),
    };
    const { story } = await runScenario(scenario, { directory: null, tells: true });
    const file = await Deno.makeTempFile({ suffix: ".html" });
    await Deno.writeTextFile(file, storyPage(story!));
    const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
    try {
      const page = await browser.newPage();
      const asked: string[] = [];
      const errors: string[] = [];
      page.on("request", (request) => asked.push(request.url()));
      page.on("pageerror", (error) => errors.push(String(error)));
      page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
      await page.goto(`file://${file}`);
      await page.locator("#find").fill(`${NAME}1 3`);
      await page.locator("#find").press("Enter");
      const way = await page.locator("#way li").allTextContents();
      assert.ok(way[0]?.startsWith(`${NAME}1, boot `), way[0] ?? "no step");
      assert.ok(way.some((step) => step.startsWith("in the log: partition")), way.join("\n"));
      assert.ok(way.some((step) => step.startsWith("in window")), way.join("\n"));
      assert.ok(await page.locator("circle.chosen").count() === 1);
      await page.locator("#lanes").press("ArrowRight");
      assert.match((await page.locator("#way li").first().textContent()) ?? "", /seq 4:/);
      assert.match(await page.title(), /^Isotherm: a run/);
      assert.deepEqual(asked.filter((url) => !url.startsWith("file://")), []);
      assert.equal(asked.length, 1, asked.join(", "));
      assert.deepEqual(errors, []);
    } finally {
      await browser.close();
      await Deno.remove(file);
    }
  },
});
