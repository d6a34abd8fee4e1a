/**
 * The shell around a service: settings, health, metrics, signals, bounded shutdown. A `main.ts` is then
 *
 * ```ts ignore
 * await runService({
 *   name: "ingest",
 *   purpose: "takes readings over HTTP and appends them to the log",
 *   table: { ...serviceSettings, port: integerSetting({ … }) }, // see core/settings.ts
 *   start: async ({ settings, clock, random, trace, metrics, fail }) => {
 *     const part = createPart({ … }, …);
 *     return {
 *       handler: (request, client) => part.handle(request), // anything but /healthz, /readyz, /metrics
 *       listen: { hostname: "127.0.0.1", port: settings.port },
 *       ready: () => part.available() ? null : "the log is down", // null, or a sentence
 *       banner: ({ url }) => [`ingest takes readings at ${url}/v1/readings`],
 *       stop: (deadlineMs) => part.stop(deadlineMs), // after the last request; then the process ends
 *     };
 *   },
 * });
 * ```
 *
 * A composition of several services in one process (`deno task dev`) uses the parts: `withOperations` and `serveHttp`
 * (`service_http.ts`), `metricsRegistry` (`metrics.ts`), `readSettings` (`core/settings.ts`).
 *
 * Exit codes: 0 after a clean stop, 1 when something broke or had to be cut off, 2 for wrong settings.
 */
import type { AssertionFailed } from "../core/assert.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Metrics } from "../core/ports/metrics.ts";
import type { Random } from "../core/ports/random.ts";
import type { Trace } from "../core/ports/trace.ts";
import {
  choiceSetting,
  integerSetting,
  readSettings,
  settingsHelp,
  type SettingTable,
  type SettingValues,
} from "../core/settings.ts";
import { machineClock } from "./clock.ts";
import { watchMemory } from "./memory_bound.ts";
import { type MetricsRegistry, metricsRegistry } from "./metrics.ts";
import { machineRandom } from "./random.ts";
import {
  type Handler,
  type HttpOptions,
  type HttpServer,
  type PlainRoute,
  serveHttp,
} from "./service_http.ts";
import { jsonTrace } from "./trace.ts";

/** From the first signal to the end of the process; below the 10 s after which Docker kills. */
const STOP_MS = 8_000;
/** Of that, running requests get so much; the rest is for what the service has to put away. */
const REQUESTS_MS = 5_000;

/** Settings that every service has. */
export const serviceSettings = {
  trace: choiceSetting({
    env: "ISOTHERM_TRACE",
    choices: ["info", "debug", "warn", "error"],
    consequence: "Diagnostics below this level aren't written to standard error.",
  }),
  memoryMib: integerSetting({
    env: "ISOTHERM_MEMORY_MIB",
    unit: "MiB",
    min: 0,
    max: 1_048_576,
    fallback: 4_096,
    consequence:
      "A process that has more memory ends in order, with exit code 1, for its supervisor to start it again; 0 sets no bound.",
  }),
} as const;

export interface ServiceContext<S extends SettingTable> {
  readonly settings: SettingValues<S>;
  readonly clock: Clock;
  readonly random: Random;
  readonly trace: Trace;
  readonly metrics: Metrics;
  /** Ends the service with exit code 1 and this reason, after a bounded shutdown. */
  fail(error: Error): void;
}

export interface RunningService {
  readonly handler: Handler;
  readonly plain?: PlainRoute;
  readonly listen: Pick<HttpOptions, "hostname" | "port" | "tls" | "limits">;
  /** Null when ready, else a sentence that says what is missing. */
  ready(): string | null;
  /** Lines for a person on standard output, once it listens. */
  banner?(server: HttpServer): readonly string[];
  /** Called once it listens, for instance to renew certificates. */
  listening?(server: HttpServer): void;
  /** Called before metrics are shown, for gauges that are cheaper to ask for than to keep. */
  gauge?(): void;
  /** Called when the end begins: requests that would go on for ever end now. */
  closing?(): void;
  /** Puts away what is in memory and releases everything, within `deadlineMs`. No request runs any more. */
  stop(deadlineMs: number): Promise<void>;
}

export interface ServiceSpec<S extends SettingTable> {
  readonly name: string;
  /** Completes the sentence "The service NAME …" in `--help`. */
  readonly purpose: string;
  readonly table: S & typeof serviceSettings;
  /** Descriptions of the metrics, by name. */
  readonly metricsHelp?: Readonly<Record<string, string>>;
  start(context: ServiceContext<S & typeof serviceSettings>): Promise<RunningService>;
}

/** Runs a service until a signal or a failure ends it; ends the process. Call it last in a `main.ts`. */
export async function runService<S extends SettingTable>(spec: ServiceSpec<S>): Promise<never> {
  if (Deno.args.some((arg) => arg === "--help" || arg === "-h")) {
    console.log(
      `The service ${spec.name} ${spec.purpose}. It is configured by environment:\n\n${
        settingsHelp(spec.table)
      }`,
    );
    Deno.exit(0);
  }
  const read = readSettings(spec.table, (name) => Deno.env.get(name));
  if (read.kind === "problems") {
    for (const problem of read.problems) console.error(`${spec.name}: ${problem}`);
    console.error(`${spec.name}: not started; --help lists the settings`);
    Deno.exit(2);
  }
  const trace = jsonTrace({ levelMin: read.values.trace as "info", fields: { service: spec.name } });
  const end = async (code: number): Promise<never> => {
    await Promise.race([trace.flush(), machineClock.sleep(500)]);
    // Not a return: a library may hold a timer or a socket that would keep the process.
    Deno.exit(code);
  };
  const ending = Promise.withResolvers<{ readonly code: number; readonly reason: string }>();
  const fail = (error: Error) => ending.resolve({ code: 1, reason: error.message });
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    let asked = false;
    Deno.addSignalListener(signal, () => {
      if (asked) Deno.exit(1);
      asked = true;
      ending.resolve({ code: 0, reason: signal });
    });
  }
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    fail(event.reason instanceof Error ? event.reason : new Error(String(event.reason)));
  });

  const metrics = metricsRegistry(spec.metricsHelp);
  let running: RunningService | null = null;
  let server: HttpServer | null = null;
  let stopping = false;
  try {
    const context = {
      settings: read.values,
      clock: machineClock,
      random: machineRandom,
      trace,
      metrics,
      fail,
    };
    running = await spec.start(context);
    const service = running;
    server = await serveHttp({
      ...service.listen,
      ...service.plain === undefined ? {} : { plain: service.plain },
      handler: withOperations({
        handler: service.handler,
        ready: () => stopping ? "it is stopping" : service.ready(),
        metrics,
        gauge: () => service.gauge?.(),
      }),
      clock: machineClock,
      trace,
      metrics,
      broken: (error: AssertionFailed) => fail(error),
    });
    service.listening?.(server);
    for (const line of service.banner?.(server) ?? []) console.log(line);
    trace.emit("info", "service.started", { url: server.url });
    watchMemory({
      clock: machineClock,
      mib: read.values.memoryMib as number,
      residentBytes: () => Deno.memoryUsage().rss,
      exceeded: fail,
    });
  } catch (error) {
    fail(error as Error);
  }

  const { code, reason } = await ending.promise;
  stopping = true;
  trace.emit(code === 0 ? "info" : "error", "service.stopping", { reason });
  if (code !== 0) console.error(`${spec.name}: ${reason}`);
  const startedMs = machineClock.monotonicMs();
  const cut = await Promise.race([
    putAway(server, running).then((clean) => !clean, (error: Error) => {
      trace.emit("error", "service.stop_failed", { message: error.message });
      return true;
    }),
    machineClock.sleep(STOP_MS).then(() => true),
  ]);
  const tookMs = Math.round(machineClock.monotonicMs() - startedMs);
  trace.emit(cut ? "warn" : "info", "service.stopped", { tookMs, cut });
  return end(cut ? 1 : code);
}

async function putAway(server: HttpServer | null, running: RunningService | null): Promise<boolean> {
  running?.closing?.();
  const clean = await server?.close(REQUESTS_MS) ?? true;
  await running?.stop(STOP_MS - REQUESTS_MS);
  return clean;
}

/** Puts `/healthz` (the process answers), `/readyz` (it can work) and `/metrics` in front of a handler. */
export function withOperations(
  { handler, ready, metrics, gauge }: {
    readonly handler: Handler;
    ready(): string | null;
    readonly metrics: MetricsRegistry;
    /** Called before metrics are shown. */
    gauge?(): void;
  },
): Handler {
  return (request, client) => {
    if (request.method !== "GET" && request.method !== "HEAD") return handler(request, client);
    switch (pathOf(request.url)) {
      case "/healthz":
        return json(200, { status: "ok" });
      case "/readyz": {
        const reason = ready();
        return reason === null ? json(200, { status: "ready" }) : json(503, { status: "not ready", reason });
      }
      case "/metrics":
        gauge?.();
        observeProcess(metrics);
        return new Response(metrics.text(), { headers: { "content-type": "text/plain; version=0.0.4" } });
      default:
        return handler(request, client);
    }
  };
}

/** Memory of the process, looked at when it is asked for. */
function observeProcess(metrics: MetricsRegistry): void {
  const { rss, heapUsed, external } = Deno.memoryUsage();
  metrics.gauge("isotherm_process_resident_bytes", rss);
  metrics.gauge("isotherm_process_heap_bytes", heapUsed);
  metrics.gauge("isotherm_process_external_bytes", external);
}

/** The path of an absolute URL, without building a URL object for every request. */
function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  if (start < 0) return "/";
  const end = url.slice(start).search(/[?#]/);
  return end < 0 ? url.slice(start) : url.slice(start, start + end);
}

function json(status: number, body: unknown): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": "application/json", "cache-control": "no-store" },
  });
}

/** The address under which other machines of the local network probably reach this one, or null. Needs `--allow-sys`. */
export function lanAddress(): string | null {
  const isPrivate = (address: string) => /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)/.test(address);
  const addresses = Deno.networkInterfaces()
    .filter(({ family, address }) => family === "IPv4" && !address.startsWith("127."))
    .map(({ address }) => address);
  return addresses.find(isPrivate) ?? addresses[0] ?? null;
}
