/**
 * The dashboard: published files and the aggregator's live stream → pages.
 *
 * ```ts ignore
 * const dashboard = await createDashboard(ports, { tokenHash: null, hosts: ["localhost", "127.0.0.1"], … });
 * await serveHttp({ handler: (request) => dashboard.handle(request), … });
 * ```
 *
 * The server shapes data and guards the door; everything seen is made in the browser (`pages/`), from plain modules.
 */
import { type Context, Hono } from "hono";
import type { BenchAction, DashboardPorts } from "./ports.ts";
import { type Caller, createAccess } from "./access.ts";
import { alertsOf } from "./alerts.ts";
import { integer, json, problem } from "./answers.ts";
import { readAssets } from "./assets.ts";
import { type DashboardConfig, dashboardLimits } from "./config.ts";
import { schemaOf, sqlStream } from "./console.ts";
import { type DownloadKind, downloadSql, factsOf, type Span, windowsOf } from "./device.ts";
import { examples } from "./examples.ts";
import { createFleetCache } from "./fleet_cache.ts";
import { withSecurityHeaders } from "./headers.ts";
import { liveStream } from "./live.ts";
import { statusOf } from "./status.ts";
import { benchActionOf } from "./bench_action.ts";

export type { DashboardConfig } from "./config.ts";
export type * from "./ports.ts";

export interface Dashboard {
  /** `caller`: who is at the other end of the connection. */
  handle(request: Request, caller: Caller): Promise<Response>;
}

/** Paths of pages: all are one document, which finds out by itself what to show. */
const pagePaths = ["/", "/device", "/explain", "/pipeline", "/sql", "/alerts", "/bench"];
/** What is served to somebody who hasn't signed in: the form and what it looks like. */
const openPaths =
  /^\/(sign-in|sign-in\.js|style\.css|narrow\.css|icon\.svg|manifest\.webmanifest|theme\.js)$/;
const timeMax = 9_999_999_999_999;

export async function createDashboard(ports: DashboardPorts, config: DashboardConfig): Promise<Dashboard> {
  const { rows, clock, trace } = ports;
  const assets = await readAssets();
  const access = createAccess(config, clock, ports.random);
  const fleet = createFleetCache(rows, clock);
  const app = new Hono<{ Bindings: Caller }>();

  app.use("*", async (c, next) => {
    const refusal = access.refusal(c.req.raw, c.env);
    if (refusal === null || (refusal.status === 401 && openPaths.test(c.req.path))) {
      await next();
    } else if (refusal.status === 401 && pagePaths.includes(c.req.path)) {
      c.res = c.redirect(`/sign-in?to=${encodeURIComponent(localPath(c))}`, 303);
    } else {
      c.res = problem(refusal.status, refusal.detail);
    }
    withSecurityHeaders(c.res.headers);
  });

  app.get("/sign-in", (c) => assets.answer("/sign-in.html", c.req.raw) ?? c.notFound());
  app.post("/sign-in", async (c) => {
    const form = new URLSearchParams(await bodyText(c.req.raw) ?? "");
    const outcome = access.signIn(form.get("token") ?? "", c.req.raw, c.env);
    const to = form.get("to") ?? "/";
    if (!("cookie" in outcome)) {
      return c.redirect(`/sign-in?wrong=${outcome.status}&to=${encodeURIComponent(to)}`, 303);
    }
    c.header("set-cookie", outcome.cookie);
    return c.redirect(/^\/(?![/\\])/.test(to) ? to : "/", 303);
  });
  app.post("/sign-out", (c) => {
    c.header("set-cookie", access.signOut(c.req.raw, c.env));
    return c.redirect("/sign-in", 303);
  });

  app.get("/api/about", (c) =>
    json(c.req.raw, {
      hasLive: ports.aggregator !== null,
      hasSql: ports.sql !== null,
      hasBench: ports.bench !== null,
      needsSignIn: config.tokenHash !== null,
      ingestUrl: config.ingestUrl,
      nowMs: clock.nowMs(),
      sqlRowsMax: dashboardLimits.sqlRowsMax,
    }));
  app.get("/api/fleet", async (c) => {
    const whole = await fleet.get();
    if (whole === null) return json(c.req.raw, null);
    const from = integer(c.req.query("from"), 0, timeMax) ?? 0;
    const count = integer(c.req.query("count"), 1, timeMax) ?? whole.devices.length;
    const devices = whole.devices.slice(from, from + count);
    return json(c.req.raw, { ...whole, total: whole.devices.length, devices });
  });
  app.get("/api/device", async (c) => {
    const device = c.req.query("device");
    if (device === undefined) return problem(400, "Which device?");
    const facts = await factsOf(rows, device);
    return facts === null
      ? problem(404, "No such device has been heard of, as of the newest files.")
      : json(c.req.raw, facts);
  });
  app.get("/api/windows", async (c) => {
    const asked = windowQuery(c);
    if (asked === null) return problem(400, "Which device, window size, from and to (Unix ms)?");
    return json(c.req.raw, await windowsOf(rows, asked.device, asked.size, asked.span));
  });
  app.get("/api/schema", async (c) => json(c.req.raw, await schemaOf(rows)));
  app.get("/api/examples", (c) => json(c.req.raw, examples));
  app.get("/api/status", async (c) => json(c.req.raw, await statusOf(ports)));
  app.get("/api/alerts", async (c) => json(c.req.raw, await alertsOf(ports)));
  app.get("/api/explain", (c) => passOn(ports, `/explain?${new URL(c.req.url).searchParams}`));
  app.get(
    "/live",
    (c) =>
      ports.aggregator === null
        ? problem(503, "Only published files are shown here: there is no live stream.")
        : liveStream(ports.aggregator, c.req.raw),
  );

  app.post("/api/sql", async (c) => {
    if (ports.sql === null) return problem(503, "The console can't start processes here: use deno task sql.");
    const body = await bodyJson(c.req.raw);
    const sql = (body as { sql?: unknown } | null)?.sql;
    return typeof sql === "string" ? sqlStream(ports.sql, sql) : problem(400, 'Send {"sql": …}.');
  });
  app.get("/download", async (c) => {
    const asked = windowQuery(c);
    const kind = c.req.query("what");
    const format = c.req.query("format");
    if (
      asked === null || (kind !== "windows" && kind !== "readings") ||
      (format !== "csv" && format !== "parquet")
    ) {
      return problem(400, "Say what (windows, readings), format (csv, parquet), device, size, from and to.");
    }
    if (ports.sql === null) return problem(503, "Downloads need processes, which can't be started here.");
    try {
      const sql = downloadSql(kind as DownloadKind, asked.device, asked.size, asked.span);
      const body = await ports.sql.file(sql, format, dashboardLimits.downloadDeadlineMs);
      return new Response(body, {
        headers: {
          "content-type": format === "csv" ? "text/csv; charset=utf-8" : "application/vnd.apache.parquet",
          "content-disposition": `attachment; filename="${
            fileName(asked.device, kind, asked.size)
          }.${format}"`,
          "cache-control": "no-store",
        },
      });
    } catch (error) {
      return problem(503, (error as Error).message);
    }
  });

  app.get("/api/bench", (c) => json(c.req.raw, ports.bench?.state() ?? null));
  app.post("/api/bench", async (c) => {
    const action: BenchAction | null = benchActionOf(await bodyJson(c.req.raw));
    if (ports.bench === null) return problem(404, "There is no bench: it is part of deno task dev.");
    if (action === null) return problem(400, "This is nothing that the bench can do.");
    const sentence = await ports.bench.act(action);
    return sentence === null ? json(c.req.raw, ports.bench.state()) : problem(400, sentence);
  });

  for (const path of pagePaths) {
    app.get(path, (c) => assets.answer("/index.html", c.req.raw) ?? c.notFound());
  }
  app.get("*", (c) => assets.answer(c.req.path, c.req.raw) ?? problem(404, "There is no such page."));
  app.all("*", () => problem(404, "There is no such page."));
  app.onError((error) => {
    trace.emit("error", "dashboard.failed", { message: error.message });
    const response = problem(500, "The dashboard made a mistake; its trace says which.");
    withSecurityHeaders(response.headers);
    return response;
  });
  return { handle: async (request, caller) => await app.fetch(request, caller) };
}

/** The path that a person wanted, with its query, to go on there after signing in. */
function localPath(c: Context): string {
  const url = new URL(c.req.url);
  return url.pathname + url.search;
}

async function passOn({ aggregator }: DashboardPorts, path: string): Promise<Response> {
  if (aggregator === null) {
    return problem(503, "Only published files are shown here: the aggregator explains windows.");
  }
  try {
    const { status, body, headers } = await aggregator(path, { signal: new AbortController().signal });
    return new Response(body, {
      status,
      headers: {
        "content-type": headers.get("content-type") ?? "application/json",
        "cache-control": "no-store",
      },
    });
  } catch {
    return problem(502, "The aggregator can't be reached.");
  }
}

interface WindowQuery {
  readonly device: string;
  readonly size: string;
  readonly span: Span;
}

function windowQuery(c: Context): WindowQuery | null {
  const device = c.req.query("device");
  const size = c.req.query("size") ?? "1m";
  const fromMs = integer(c.req.query("from"), 0, timeMax);
  const toMs = integer(c.req.query("to"), 0, timeMax);
  if (device === undefined || size.length > 64 || fromMs === null || toMs === null) return null;
  return { device, size, span: { fromMs, toMs } };
}

/** Device names are anybody's; a file name has letters, digits, dots and dashes. */
function fileName(device: string, kind: string, size: string): string {
  const safe = device.replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[.-]+/, "").slice(0, 60) || "device";
  return kind === "windows" ? `${safe}-${size.replace(/\W+/g, "")}` : `${safe}-readings`;
}

/** The body of a request, null when it is larger than allowed. */
async function bodyText(request: Request): Promise<string | null> {
  if (Number(request.headers.get("content-length") ?? 0) > dashboardLimits.bodyBytesMax) return null;
  const text = await request.text();
  return text.length > dashboardLimits.bodyBytesMax ? null : text;
}

async function bodyJson(request: Request): Promise<unknown> {
  try {
    return JSON.parse(await bodyText(request) ?? "null");
  } catch {
    return null;
  }
}
