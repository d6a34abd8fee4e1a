/**
 * `deno task kafka [--data DIR] [--port P]`: an Apache Kafka broker on loopback for development, without Docker. Needs
 * Java 17 and Maven. With a folder, its records stay; without, they end with it.
 */
import { parseArgs } from "node:util";
import { startKafka } from "../testing/kafka_broker.ts";

const help = `deno task kafka [options]: an Apache Kafka broker on loopback (needs Java 17 and Maven)
  --data DIR   keep its records in DIR (default: a temporary folder that is removed at the end)
  --port P     listen on 127.0.0.1:P (default 9092; 0 takes a free one)
  --help       this text`;

function options(): { readonly data: string | null; readonly port: number } | { readonly problem: string } {
  try {
    const { values } = parseArgs({
      args: Deno.args,
      options: { data: { type: "string" }, port: { type: "string" }, help: { type: "boolean" } },
    });
    if (values.help === true) return { problem: help };
    const port = Number(values.port ?? "9092");
    if (!Number.isInteger(port) || port < 0 || port > 65_535) {
      return { problem: `--port is ${JSON.stringify(values.port)}: use a number from 0 to 65535` };
    }
    return { data: values.data ?? null, port };
  } catch (error) {
    return { problem: `${(error as Error).message}\n${help}` };
  }
}

const chosen = options();
if ("problem" in chosen) {
  console.log(chosen.problem);
  Deno.exit(chosen.problem === help ? 0 : 2);
}
console.log("Kafka's jars come from Maven once (about 55 MB); then the broker needs some seconds to start");
const started = performance.now();
const broker = await startKafka({
  ...chosen.port === 0 ? {} : { port: chosen.port },
  ...chosen.data === null ? {} : { folder: chosen.data },
}).catch((error: Error) => {
  console.error(error.message);
  Deno.exit(1);
});
console.log(
  `Apache Kafka 4.3.1 takes records at kafka://${broker.address}, ` +
    `up in ${((performance.now() - started) / 1_000).toFixed(1)} s; its data are in ${broker.folder}`,
);
console.log(`try: deno task dev --log kafka://${broker.address}`);

let isEnding = false;
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, async () => {
    if (isEnding) return;
    isEnding = true;
    await broker.stop();
    await broker.remove();
    Deno.exit(0);
  });
}
await broker.ended();
if (!isEnding) {
  console.error(
    "the broker ended by itself: see its output with `java -cp` on the same folder, or remove the folder",
  );
  Deno.exit(1);
}
