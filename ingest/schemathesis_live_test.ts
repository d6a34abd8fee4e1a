/**
 * The service against its own OpenAPI document, by schemathesis (from PyPI, into a folder that is thrown away): hundreds
 * of requests that keep the document's rules and that break them. No 500, no hang, nothing accepted that the document
 * forbids, nothing refused that it allows.
 */
import assert from "node:assert/strict";
import { startIngest } from "./testing/process.ts";

const VERSION = "4.32.5";

async function run(
  command: string,
  args: readonly string[],
): Promise<{ readonly code: number; readonly text: string }> {
  const { code, stdout, stderr } = await new Deno.Command(command, { args: [...args], stdin: "null" })
    .output();
  const decoder = new TextDecoder();
  return { code, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

Deno.test("the service keeps to its OpenAPI document under hundreds of drawn requests", async () => {
  const folder = await Deno.makeTempDir({ prefix: "isotherm-schemathesis-" });
  try {
    const made = await run("python3", ["-m", "venv", folder]);
    assert.equal(made.code, 0, `python3 -m venv failed (apt-get install python3-venv): ${made.text}`);
    const installed = await run(`${folder}/bin/pip`, ["install", "--quiet", `schemathesis==${VERSION}`]);
    assert.equal(installed.code, 0, installed.text);
    await using ingest = await startIngest({});
    const check = (...more: string[]) =>
      run(`${folder}/bin/schemathesis`, [
        "run",
        `${ingest.url}/openapi.json`,
        ...["--seed", "1", "--no-color", "--request-timeout", "5"],
        ...more,
      ]);
    const parts: readonly (readonly string[])[] = [
      // Bad readings are taken with their batch, and flagged: that is the contract. And JSON Schema can't say that a span
      // starts before it ends; `openapi_test.ts` holds schema and decoder to each other for all that it can say.
      ["^/v1/readings$", "60", "negative_data_rejection,positive_data_acceptance"],
      ["^/v1/(devices|releases)", "40", ""],
      // Line protocol is text; its grammar is nothing that JSON Schema can say.
      ["write$", "30", "positive_data_acceptance"],
    ];
    for (const [paths = "", examples = "", excluded] of parts) {
      const exclusion = excluded === "" ? [] : ["--exclude-checks", excluded!];
      const checked = await check("--include-path-regex", paths, "--max-examples", examples, ...exclusion);
      assert.equal(checked.code, 0, checked.text);
    }
    const ready = await fetch(`${ingest.url}/readyz`);
    assert.equal(ready.status, 200);
    const metrics = await (await fetch(`${ingest.url}/metrics`)).text();
    assert.ok(!/isotherm_http_requests_total\{status="5/.test(metrics), "no request was answered with 5xx");
    assert.match(metrics, /isotherm_ingest_waiting_requests 0\n/);
    await ready.body?.cancel();
    assert.equal((await ingest.stop("SIGTERM")).code, 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
