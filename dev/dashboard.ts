/** The dashboard beside the pipeline, in the same process: on the rows as they are published, and their live stream. */
import type { Clock } from "../core/ports/clock.ts";
import { noMetrics } from "../core/ports/metrics.ts";
import type { Random } from "../core/ports/random.ts";
import type { Trace } from "../core/ports/trace.ts";
import { type BenchPort, createDashboard } from "../dashboard/mod.ts";
import { hostsOf } from "../dashboard/settings.ts";
import { keyHashing } from "../platform/keys.ts";
import { openPublishedRows } from "../platform/published_rows.ts";
import { createQueryProcesses } from "../platform/query_process.ts";
import { type HttpServer, serveHttp } from "../platform/service_http.ts";

export interface DashboardOptions {
  /** Absolute path of the data folder. */
  readonly data: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Serve the local network; whoever looks signs in with the key. */
  readonly lan: boolean;
  readonly key: string | null;
  readonly ingestUrl: string;
  /** The aggregator's endpoints; null for a path that is none of its. */
  ask(request: Request): Response | Promise<Response> | null;
  readonly bench: BenchPort | null;
  readonly clock: Clock;
  readonly random: Random;
  readonly trace: Trace;
}

export interface RunningDashboard {
  readonly url: string;
  stop(): Promise<void>;
}

/** Stands in the requests that never leave this process. */
const AGGREGATOR = "http://aggregator.invalid";

/** Serves it on `port`, or on a free one when that is taken: the pipeline matters more than a number. */
export async function startDashboard(options: DashboardOptions): Promise<RunningDashboard> {
  const { data, lan, key, clock, random, trace, bench, ingestUrl } = options;
  const rows = openPublishedRows(data);
  const sql = Deno.build.os === "windows" ? null : createQueryProcesses({ data, clock });
  const hostname = lan ? "0.0.0.0" : "127.0.0.1";
  const addresses = lan ? Deno.networkInterfaces().map(({ address }) => address) : [];
  const dashboard = await createDashboard({
    rows,
    sql,
    aggregator: async (path, { headers, signal }) => {
      const request = new Request(`${AGGREGATOR}${path}`, {
        signal,
        ...headers === undefined ? {} : { headers },
      });
      return await options.ask(request) ?? new Response(null, { status: 404 });
    },
    bench,
    clock,
    random,
    trace,
  }, {
    tokenHash: lan && key !== null ? keyHashing.hashOf(key) : null,
    hosts: hostsOf(hostname, addresses, []),
    proxies: [],
    ingestUrl,
  });
  const serve = (port: number): Promise<HttpServer> =>
    serveHttp({
      handler: (request, client) => dashboard.handle(request, client),
      hostname,
      port,
      clock,
      trace,
      metrics: noMetrics, // those of this process are the pipeline's
    });
  const server = await serve(options.port).catch((error) => {
    if (options.port === 0) throw error;
    return serve(0);
  });
  return {
    url: `${server.url}/`,
    async stop() {
      await server.close(0);
      await sql?.close();
      await rows.close();
    },
  };
}
