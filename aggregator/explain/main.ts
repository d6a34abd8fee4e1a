/** `deno task explain DEVICE TIME`: what made a window, asked of a running aggregator. */
import { parseArgs } from "node:util";
import { explanationLines } from "./text.ts";

const usage = `Tells what made a window of a device: readings with their places in the log, and why it closed.

  deno task explain DEVICE TIME [--size 1m] [--url http://127.0.0.1:8086] [--json]

TIME is any instant in the window: 2025-11-24T08:05Z (UTC without an offset), or Unix milliseconds.
The URL is that of deno task dev; an aggregator that runs alone answers on port 8087.`;

async function main(args: readonly string[]): Promise<number> {
  let parsed;
  try {
    const text = { type: "string" } as const;
    const flag = { type: "boolean" } as const;
    parsed = parseArgs({
      args: [...args],
      options: { size: text, url: text, json: flag, help: { ...flag, short: "h" } },
      allowPositionals: true,
    });
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${usage}`);
    return 2;
  }
  const { values, positionals } = parsed;
  const [device, time] = positionals;
  if (values.help === true || device === undefined || time === undefined || positionals.length > 2) {
    (values.help === true ? console.log : console.error)(usage);
    return values.help === true ? 0 : 2;
  }
  const query = new URLSearchParams({ device, window_start: time });
  if (values.size !== undefined) query.set("window_size", values.size);
  const url = `${values.url ?? "http://127.0.0.1:8086"}/explain?${query}`;
  let response: Response;
  try {
    response = await fetch(url);
  } catch (error) {
    console.error(
      `nobody answers at ${url}: ${(error as Error).message}; start deno task dev, or give --url`,
    );
    return 1;
  }
  const answer = await response.json() as Record<string, unknown>;
  if (!response.ok) {
    console.error(String(answer.detail ?? answer.title));
    return 1;
  }
  console.log(values.json === true ? JSON.stringify(answer, null, 2) : explanationLines(answer).join("\n"));
  return 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
