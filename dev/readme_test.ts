import { ok } from "node:assert/strict";
import { importHelp } from "../import/options.ts";
import { devHelp } from "./options.ts";
import { readmePath, withTables } from "./testing/readme.ts";

const readme = await Deno.readTextFile(readmePath);
const denoJson = JSON.parse(await Deno.readTextFile(new URL("deno.json", readmePath))) as {
  tasks: Record<string, { command: string }>;
};

/** Without what the formatter adds to line columns up. */
const unpadded = (text: string) => text.replace(/ *\| */g, "|").replace(/-{3,}/g, "---");

Deno.test("the README's tables are those that the services read: deno task update", () => {
  ok(unpadded(readme) === unpadded(withTables(readme)), "the tables are out of date: deno task update");
  for (const name of ["ingest", "aggregator", "dashboard", "log", "all"]) {
    ok(readme.includes(`<!-- settings ${name} -->`), name);
  }
});

Deno.test("the README names every option of dev, and every task that it names exists", () => {
  for (const [option] of devHelp.matchAll(/^ {2}--[a-z-]+/gm)) {
    ok(readme.includes(`\`${option.trim()}`), option);
  }
  for (const [, task = ""] of readme.matchAll(/deno@2\.9\.6 task ([a-z:]+)/g)) {
    ok(task in denoJson.tasks, task);
  }
  ok(importHelp.includes("--zone"));
});

Deno.test("every task that users run is in the README", () => {
  for (const task of Object.keys(denoJson.tasks).filter((name) => !isTest(name))) {
    ok(new RegExp(`\`${task}[ \`]`).test(readme), `the README's table of tasks lacks ${task}`);
  }
});

/** What only developers run, on machines that are theirs. */
const isTest = (task: string) =>
  /^(test|soak|chaos|bench|firmware|screenshots|update|sim:mutants)\b/.test(task);

Deno.test("no task that users run has all permissions", () => {
  for (const [name, { command }] of Object.entries(denoJson.tasks).filter(([task]) => !isTest(task))) {
    ok(!/(^| )(-A|--allow-all|--allow-run)( |$)/.test(command), name);
  }
});
