/** The ingest service alone: `deno task start:ingest`, configured by environment. */
import type { Clock } from "../core/ports/clock.ts";
import type { Metrics } from "../core/ports/metrics.ts";
import type { Trace } from "../core/ports/trace.ts";
import { keyHashing } from "../platform/keys.ts";
import { logSettings, openLogAt } from "../platform/log_address.ts";
import { lanAddress, runService, serviceSettings } from "../platform/service.ts";
import type { MqttSource } from "../platform/mqtt_source.ts";
import { openTlsFiles, tlsSettings } from "../platform/service_tls.ts";
import { watchFiles } from "../platform/watched_file.ts";
import { doorOf, ingestSettings } from "./config.ts";
import { type KeyEntry, parseKeyFile } from "./key_file.ts";
import { createKeyRing, type KeyRing, settingKey } from "./key_ring.ts";
import { createIngest, type Ingest, ingestMetricsHelp } from "./mod.ts";
import { createMqttBridge } from "./mqtt_bridge.ts";
import { parseTopics } from "./mqtt_topics.ts";

await runService({
  name: "ingest",
  purpose: "takes readings over HTTP and appends them to the log",
  table: { ...ingestSettings, ...logSettings, ...tlsSettings, ...serviceSettings },
  metricsHelp: ingestMetricsHelp,
  start: async ({ settings, clock, random, trace, metrics }) => {
    const choice = doorOf(settings);
    if (choice.kind === "problem") throw new Error(choice.problem);
    const { hostname, open } = choice.door;
    const tls = await openTlsFiles(settings, clock, trace);
    const keys = await keysInForce(settings, clock, trace);
    const log = await openLogAt(settings.log, settings.partitions, { clock, random, trace, metrics });
    const authority = keys === null ? {} : { authority: keys.ring };
    const ingest = createIngest({ log: log.writer, clock, random, trace, metrics, ...authority });
    const mqtt = await mqttBridge(settings, ingest, { clock, trace, metrics });
    return {
      handler: ingest.handler,
      plain: ingest.plain,
      listen: { hostname, port: settings.port, ...tls === null ? {} : { tls: tls.tls } },
      listening: (server) => tls?.attach(server),
      ready: () => ingest.ready(),
      banner: ({ url, port }) => {
        const lines = [`ingest takes readings at ${url}/v1/readings`];
        const lan = `${tls === null ? "http" : "https"}://${lanAddress() ?? hostname}:${port}`;
        if (settings.mqtt !== null) lines.push(`and from MQTT, topics ${settings.mqttTopics}`);
        if (open) lines.push(`a board on the desk sends to ${lan}, with the key`);
        return lines;
      },
      stop: async () => {
        tls?.stop();
        keys?.stop();
        await mqtt?.close();
        await ingest.stop();
        await log.close();
      },
    };
  },
});

/** The key of the setting and those of the file, kept up to date; null if there are neither. */
async function keysInForce(
  { key, keys: path }: { readonly key: string | null; readonly keys: string | null },
  clock: Clock,
  trace: Trace,
): Promise<{ readonly ring: KeyRing; stop(): void } | null> {
  const fixed: readonly KeyEntry[] = key === null ? [] : [settingKey(key, keyHashing)];
  if (path === null) {
    return key === null ? null : { ring: createKeyRing(keyHashing, clock, fixed), stop() {} };
  }
  const ring = createKeyRing(keyHashing, clock, fixed);
  const take = ([text = ""]: readonly string[]) => {
    const parsed = parseKeyFile(text);
    if (parsed.kind === "problem") throw new Error(`${path}: ${parsed.problem}`);
    ring.replace([...fixed, ...parsed.keys]);
    trace.emit("info", "ingest.keys_read", { path, keys: parsed.keys.length });
  };
  const watched = await watchFiles(
    [path],
    clock,
    take,
    ({ message }) =>
      trace.emit("error", "ingest.keys_kept", { path, message, hint: "the keys read before stay in force" }),
  )
    .catch((error: Error) => {
      throw new Error(
        `can't read the keys in ${path}: ${error.message}; make them with deno task keys create`,
      );
    });
  take(watched.texts);
  return { ring, stop: () => watched.stop() };
}

/** The bridge to a broker, if the settings name one. Its package is only loaded then. */
async function mqttBridge(
  { mqtt: url, mqttTopics, mqttVersion: version, mqttClient: clientId }: {
    readonly mqtt: string | null;
    readonly mqttTopics: string;
    readonly mqttVersion: "auto" | "5" | "3.1.1";
    readonly mqttClient: string;
  },
  { intake }: Ingest,
  ports: { readonly clock: Clock; readonly trace: Trace; readonly metrics: Metrics },
): Promise<MqttSource | null> {
  if (url === null) return null;
  const patterns = parseTopics(mqttTopics);
  if (patterns === null) {
    throw new Error(
      `ISOTHERM_MQTT_TOPICS is ${JSON.stringify(mqttTopics)}: each topic needs a level {device}, and no #`,
    );
  }
  const { openMqttSource } = await import("../platform/mqtt_source.ts");
  return openMqttSource({
    url,
    clientId,
    version,
    filters: patterns.map(({ filter }) => filter),
    ...ports,
    take: createMqttBridge({ intake, ...ports }, patterns),
    ready: () => intake.ready() === null,
  });
}
