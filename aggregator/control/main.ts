/** `deno task quarantine …` and `deno task devices …`; the first argument of this program says which. */
import { StoreRefused } from "../../core/ports/store.ts";
import { Catalogue, QueryFailed } from "../../platform/duckdb/reader.ts";
import { type ControlRequest, parseCommand, placeSql, releaseRequest } from "./command.ts";

const ROWS_MAX = 1_000;

async function main([topic, ...args]: readonly string[]): Promise<number> {
  const command = parseCommand(topic === "devices" ? "devices" : "quarantine", args);
  switch (command.kind) {
    case "help":
      console.log(command.text);
      return 0;
    case "problem":
      console.error(`${command.sentence}; --help shows what is possible`);
      return 2;
    case "list": {
      const { columns, rows, isCut } = await ask(command.data, command.sql);
      console.log(columns.join("\t"));
      for (const row of rows) console.log(row.map((cell) => cell ?? "").join("\t"));
      if (isCut) console.error(`there are more; these are the first ${ROWS_MAX}`);
      return 0;
    }
    case "send":
      return await send(command.url, command.request, command.done);
    case "release": {
      const { place, changes } = command;
      const [row] = (await ask(command.data, placeSql(place))).rows;
      const where = `${place.offset}:${place.index} of ${place.device}`;
      if (row === undefined) {
        console.error(`no quarantined reading is published at ${where}: see deno task quarantine list`);
        return 1;
      }
      const [boot, raw, releasedBy] = row;
      if (releasedBy !== null) {
        console.log(`${where} was released by record ${releasedBy} already`);
        return 0;
      }
      const request = releaseRequest(
        place,
        { boot: boot === null ? null : Number(boot), raw: String(raw) },
        changes,
      );
      if (typeof request === "string") {
        console.error(`${where}: ${request}`);
        return 1;
      }
      return await send(command.url, request, `${where} goes to the log; if it is valid now, it is counted`);
    }
  }
}

async function ask(data: string, sql: string) {
  const catalogue = await Catalogue.open(data);
  try {
    const { columns, rows, isCut } = await catalogue.query(sql, ROWS_MAX);
    return { columns: columns.map(({ name }) => name), rows, isCut };
  } finally {
    catalogue.close();
  }
}

async function send(url: string, { path, body }: ControlRequest, done: string): Promise<number> {
  const key = Deno.env.get("ISOTHERM_KEY");
  const headers = {
    "content-type": "application/json",
    ...key === undefined || key === "" ? {} : { authorization: `Bearer ${key}` },
  };
  let response: Response;
  try {
    response = await fetch(`${url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  } catch (error) {
    console.error(`ingest doesn't answer at ${url}: ${(error as Error).message}; start it, or give --url`);
    return 1;
  }
  const answer = await response.json().catch(() => ({})) as Record<string, unknown>;
  if (!response.ok) {
    console.error(`ingest refused: ${answer.detail ?? answer.title ?? response.status}`);
    return 1;
  }
  console.log(`${done} (record ${answer.offset} of partition ${answer.partition})`);
  return 0;
}

if (import.meta.main) {
  const code = await main(Deno.args).catch((error: unknown) => {
    if (!(error instanceof StoreRefused || error instanceof QueryFailed)) throw error;
    console.error(error.message);
    return 1;
  });
  Deno.exit(code);
}
