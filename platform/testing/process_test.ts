import { equal, match, rejects } from "node:assert/strict";
import { startProcess } from "./process.ts";

const evaluate = (code: string) => startProcess(["eval", code]);

Deno.test("a process is waited for by its lines, and ends with its code", async () => {
  await using process = evaluate("console.log('one'); console.error('two'); Deno.exit(3);");
  equal(await process.line(/^two$/), "two");
  equal((await process.end()).code, 3);
  match(process.text, /one/);
  await rejects(process.line(/^three$/), /no line matched \/\^three\$\/ before it ended; it wrote:/);
});

Deno.test("a child that outlives the process and holds its streams holds nobody", async () => {
  const orphan = "setTimeout(() => {}, 30_000)";
  const code = `const child = new Deno.Command(Deno.execPath(), { args: ["eval", "${orphan}"] }).spawn();
    console.log("child " + child.pid); await child.status;`;
  const process = evaluate(code);
  const pid = Number(/\d+/.exec(await process.line(/^child \d+$/))?.[0]);
  try {
    equal((await process.stop("SIGKILL", 8_000)).signal, "SIGKILL");
  } finally {
    Deno.kill(pid, "SIGKILL");
  }
});
