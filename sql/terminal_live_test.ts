/** `deno task sql` in a terminal, as somebody types: `script` (util-linux) gives it one. */
import { match, ok } from "node:assert/strict";
import { changes, deviceRow, windowRow } from "../core/testing/builders.ts";
import { openPublisher } from "../platform/duckdb/publisher.ts";
import { openStore } from "../platform/duckdb/store.ts";
import { machineClock } from "../platform/clock.ts";

/** The command in a terminal, in a folder that has a folder data. */
function startTerminal(folder: string) {
  const main = new URL("main.ts", import.meta.url).pathname;
  const config = new URL("../deno.json", import.meta.url).pathname;
  const rights = "--allow-read --allow-write=data/sql-history.txt --allow-ffi";
  const child = new Deno.Command("script", {
    args: ["-qfec", `${Deno.execPath()} run --no-prompt --config ${config} ${rights} ${main}`, "/dev/null"],
    cwd: folder,
    env: { TERM: "xterm", NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const keys = child.stdin.getWriter();
  let seen = "";
  const reading = (async () => {
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) seen += text;
  })();
  return {
    type: (text: string) => keys.write(new TextEncoder().encode(text)),
    /** Waits for a text that comes after all that was waited for before. */
    async sees(pattern: RegExp): Promise<void> {
      const endMs = machineClock.monotonicMs() + 30_000;
      for (;;) {
        const found = pattern.exec(seen);
        if (found !== null) {
          seen = seen.slice(found.index + found[0].length);
          return;
        }
        ok(machineClock.monotonicMs() < endMs, `${pattern} in ${JSON.stringify(seen)}`);
        await machineClock.sleep(50);
      }
    },
    async end(): Promise<number> {
      const { code } = await child.status;
      await reading;
      await keys.close().catch(() => {});
      return code;
    },
  };
}

Deno.test("in a terminal one asks, completes, cancels, and finds again what was asked the day before", async () => {
  const folder = await Deno.makeTempDir({ prefix: "isotherm-terminal-" });
  try {
    const directory = `${folder}/data`;
    const store = await openStore({ directory, partition: 0, retentionMs: 30 * 86_400_000 });
    const publisher = await openPublisher(store);
    await store.commit(changes({ windows: [windowRow()], devices: [deviceRow()] }));
    await publisher.publish([], 1);
    await publisher.close();
    await store.close();
    {
      const terminal = startTerminal(folder);
      await terminal.sees(/isotherm> /);
      await terminal.type("SELECT readings, device FROM window_v");
      await terminal.sees(/window_v/);
      await terminal.type("\t");
      await terminal.sees(/ersions/);
      await terminal.type("\r");
      await terminal.sees(/\.\.\.> /);
      await terminal.type("LIMIT 1;\r");
      await terminal.sees(/1 │ desk  *│/);
      await terminal.sees(/isotherm> /);
      await terminal.type("SELECT count(*) FROM range(100000000000);\r");
      await machineClock.sleep(500);
      await terminal.type("\x03");
      await terminal.sees(/Interrupted/);
      await terminal.sees(/isotherm> /);
      await terminal.type("SELECT 'dropped\r");
      await terminal.sees(/\.\.\.> /);
      await terminal.type("\x03");
      await terminal.sees(/isotherm> /);
      await terminal.type("SELECT 40 + 2 AS answer;\r");
      await terminal.sees(/42 │/);
      await terminal.type("\x04");
      ok(await terminal.end() === 0);
    }
    match(
      await Deno.readTextFile(`${directory}/sql-history.txt`),
      /LIMIT 1;\n[^]*SELECT 40 \+ 2 AS answer;\n$/,
    );
    const again = startTerminal(folder);
    await again.sees(/isotherm> /);
    await again.type("\x1b[A\r");
    await again.sees(/42 │/);
    await again.type(".exit\r");
    ok(await again.end() === 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
