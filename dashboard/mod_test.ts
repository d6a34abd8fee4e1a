import { deepEqual, equal, match, ok } from "node:assert/strict";
import type { Cell, PublishedRows, SqlRunner } from "../core/ports/published.ts";
import { silentTrace } from "../core/ports/trace.ts";
import { virtualClock } from "../sim/clock.ts";
import { Scheduler } from "../sim/scheduler.ts";
import { seededRandom } from "../sim/random.ts";
import { createHash } from "node:crypto";
import { createDashboard, type Dashboard, type DashboardConfig, type DashboardPorts } from "./mod.ts";

const token = "correct-horse-battery";
const hashOf = (text: string) => new Uint8Array(createHash("sha256").update(text).digest());

const noRows: PublishedRows = {
  query: () => Promise.resolve(null),
  published: () => Promise.resolve(null),
  close: () => Promise.resolve(),
};

interface World {
  readonly dashboard: Dashboard;
  readonly scheduler: Scheduler;
  get(path: string, headers?: Record<string, string>, address?: string): Promise<Response>;
  post(path: string, body: string, headers?: Record<string, string>, address?: string): Promise<Response>;
}

async function worldOf(
  ports: Partial<DashboardPorts> = {},
  config: Partial<DashboardConfig> = {},
): Promise<World> {
  const scheduler = new Scheduler({ startMs: 1_763_950_000_000 });
  const dashboard = await createDashboard({
    rows: noRows,
    sql: null,
    aggregator: null,
    bench: null,
    clock: virtualClock(scheduler),
    random: seededRandom(1, "dashboard"),
    trace: silentTrace,
    ...ports,
  }, { tokenHash: null, hosts: ["127.0.0.1", "localhost"], proxies: [], ingestUrl: null, ...config });
  const request = (
    path: string,
    init: RequestInit,
    headers: Record<string, string>,
    address = "127.0.0.1",
  ) =>
    dashboard.handle(
      new Request(`http://127.0.0.1:8088${path}`, {
        ...init,
        headers: { host: "127.0.0.1:8088", ...headers },
      }),
      { address },
    );
  return {
    dashboard,
    scheduler,
    get: (path, headers = {}, address) => request(path, {}, headers, address),
    post: (path, body, headers = {}, address) => request(path, { method: "POST", body }, headers, address),
  };
}

Deno.test("on loopback nobody signs in, and every answer carries a strict policy", async () => {
  const { get } = await worldOf();
  for (const path of ["/", "/device", "/sql", "/style.css", "/vendor/uplot.js", "/api/about", "/nowhere"]) {
    const response = await get(path);
    await response.body?.cancel();
    equal(response.status, path === "/nowhere" ? 404 : 200, path);
    const policy = response.headers.get("content-security-policy") ?? "";
    match(policy, /default-src 'none'; script-src 'self'; style-src 'self';/);
    ok(!/unsafe/.test(policy));
    equal(response.headers.get("x-content-type-options"), "nosniff");
  }
});

Deno.test("pages ask nobody else and hold no script or style of their own", async () => {
  const { get } = await worldOf();
  for (const path of ["/", "/sign-in"]) {
    const text = await (await get(path)).text();
    ok(!/<script(?![^>]*\bsrc="\/)/.test(text), path);
    ok(!/<style|\sstyle=|\son[a-z]+=|https?:/.test(text), path);
  }
});

Deno.test("files are served with a validator, and compressed for whom it may concern", async () => {
  const { get } = await worldOf();
  const plain = await get("/app.js");
  const etag = plain.headers.get("etag") ?? "";
  const length = (await plain.text()).length;
  equal((await get("/app.js", { "if-none-match": etag })).status, 304);
  const compressed = await get("/app.js", { "accept-encoding": "gzip, br" });
  equal(compressed.headers.get("content-encoding"), "gzip");
  ok((await compressed.arrayBuffer()).byteLength < length / 2);
  for (const path of ["/../mod.ts", "/%2e%2e/mod.ts", "/pages/app.js", "/vendor/../app.js/.."]) {
    ok(!/createDashboard/.test(await (await get(path)).text()), path);
  }
});

Deno.test("a call by another name is refused: no page elsewhere can take our address for its own", async () => {
  const { get } = await worldOf();
  equal((await get("/api/about", { host: "evil.example" })).status, 403);
  equal((await get("/api/about", { host: "localhost:1" })).status, 200);
  equal((await get("/", { host: "127.0.0.1.evil.example" })).status, 403);
});

Deno.test("what another site's page sends changes nothing", async () => {
  const asked: string[] = [];
  const bench = {
    state: () => ({ nowMs: 0, boards: [] }),
    act: (action: { kind: string }) => (asked.push(action.kind), Promise.resolve(null)),
  };
  const { post } = await worldOf({ bench });
  const reset = '{"kind":"reset","device":"board-1"}';
  equal((await post("/api/bench", reset, { "sec-fetch-site": "cross-site" })).status, 403);
  equal((await post("/api/bench", reset, { "sec-fetch-site": "same-site" })).status, 403);
  equal((await post("/api/bench", reset, { origin: "http://evil.example" })).status, 403);
  deepEqual(asked, []);
  equal((await post("/api/bench", reset, { "sec-fetch-site": "same-origin" })).status, 200);
  equal((await post("/api/bench", reset, { origin: "http://127.0.0.1:8088" })).status, 200);
  equal((await post("/api/bench", '{"kind":"explode","device":"board-1"}')).status, 400);
  equal(
    (await post("/api/bench", '{"kind":"air","device":"board-1","temperatureC":81,"humidityPct":1}')).status,
    400,
  );
  deepEqual(asked, ["reset", "reset"]);
});

Deno.test("beyond loopback nothing but the form is shown without the token", async () => {
  const { get, post, scheduler } = await worldOf({}, { tokenHash: hashOf(token) });
  const page = await get("/device?device=a%26b");
  equal(page.status, 303);
  equal(page.headers.get("location"), "/sign-in?to=%2Fdevice%3Fdevice%3Da%2526b");
  for (const path of ["/api/fleet", "/api/about", "/app.js", "/vendor/uplot.js", "/live", "/download"]) {
    equal((await get(path)).status, 401, path);
  }
  equal((await get("/sign-in")).status, 200);
  for (const name of ["style.css", "narrow.css"]) equal((await get(`/${name}`)).status, 200);
  equal((await get("/views.css")).status, 401);

  const wrong = await post("/sign-in", "token=guess&to=%2Fsql");
  equal(wrong.headers.get("location"), "/sign-in?wrong=401&to=%2Fsql");
  equal(wrong.headers.get("set-cookie"), null);
  const right = await post("/sign-in", `token=${token}&to=%2Fsql`);
  equal(right.headers.get("location"), "/sql");
  const set = right.headers.get("set-cookie") ?? "";
  match(set, /^isotherm=[0-9a-f]{64}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=2592000$/);
  const cookie = set.split(";")[0] as string;
  equal((await get("/api/about", { cookie })).status, 200);
  equal((await get("/api/about", { cookie: `${cookie.slice(0, -1)}x` })).status, 401);
  const out = await post("/sign-out", "", { cookie, "sec-fetch-site": "same-origin" });
  match(out.headers.get("set-cookie") ?? "", /^isotherm=; .*Max-Age=0$/);
  equal((await get("/api/about", { cookie })).status, 401);

  const again = (await post("/sign-in", `token=${token}`)).headers.get("set-cookie")?.split(";")[0] as string;
  equal((await get("/api/about", { cookie: again })).status, 200);
  await scheduler.runUntil(scheduler.nowMs + 30 * 86_400_000 + 1);
  equal((await get("/api/about", { cookie: again })).status, 401);
});

Deno.test("signing in leads to no other site", async () => {
  const { post } = await worldOf({}, { tokenHash: hashOf(token) });
  for (
    const to of ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", ""]
  ) {
    const answer = await post("/sign-in", new URLSearchParams({ token, to }).toString());
    equal(answer.headers.get("location"), "/", to);
  }
});

Deno.test("guesses at the token are few a minute, the right one among them", async () => {
  const { post, scheduler } = await worldOf({}, { tokenHash: hashOf(token) });
  for (let guess = 0; guess < 20; guess++) await post("/sign-in", `token=guess-${guess}`);
  equal((await post("/sign-in", `token=${token}`)).headers.get("location"), "/sign-in?wrong=429&to=%2F");
  await scheduler.runUntil(scheduler.nowMs + 60_001);
  equal((await post("/sign-in", `token=${token}`)).headers.get("location"), "/");
});

Deno.test("where our proxy says that the connection is encrypted, the cookie is bound to it", async () => {
  const { get, post } = await worldOf({}, { tokenHash: hashOf(token), proxies: ["10.0.0.2", "::1"] });
  const cookieFor = async (forwarded: string | null, address: string) => {
    const headers: Record<string, string> = forwarded === null ? {} : { "x-forwarded-proto": forwarded };
    const answer = await post("/sign-in", `token=${token}`, headers, address);
    return (answer.headers.get("set-cookie") ?? "").replace(/=[0-9a-f]{64};/, "=…;");
  };
  const plain = "isotherm=…; Path=/; HttpOnly; SameSite=Strict; Max-Age=2592000";
  const bound = `__Host-${plain}; Secure`;
  for (
    const [forwarded, address, expected] of [
      ["https", "10.0.0.2", bound],
      ["https", "::ffff:10.0.0.2", bound],
      ["http, HTTPS", "::1", bound],
      ["https, http", "10.0.0.2", plain],
      [null, "10.0.0.2", plain],
      ["https", "10.0.0.3", plain],
      ["https", "", plain],
    ] as const
  ) equal(await cookieFor(forwarded, address), expected, `${forwarded} from ${address}`);

  const headers = { "x-forwarded-proto": "https" };
  const answer = await post("/sign-in", `token=${token}`, headers, "::1");
  const cookie = answer.headers.get("set-cookie")!.split(";")[0]!;
  equal((await get("/api/about", { ...headers, cookie }, "::1")).status, 200);
  // Only behind the proxy is it a session.
  equal((await get("/api/about", { cookie })).status, 401);
  const inside = await post("/sign-out", "", { ...headers, cookie }, "::1");
  match(inside.headers.get("set-cookie") ?? "", /^__Host-isotherm=; .*Max-Age=0; Secure$/);
});

Deno.test("a query's events come as lines, and leaving cancels it", async () => {
  let signal: AbortSignal | undefined;
  const sql: SqlRunner = {
    async *run(text, bounds, given) {
      signal = given;
      yield { kind: "columns", columns: [{ name: text, type: "INTEGER", isNumber: true }] };
      yield { kind: "rows", rows: [[bounds.rowsMax]] };
      await new Promise(() => {});
    },
    file: () => Promise.reject(new Error("not here")),
    close: () => Promise.resolve(),
  };
  const { post } = await worldOf({ sql });
  const response = await post("/api/sql", '{"sql":"x"}');
  equal(response.headers.get("content-type"), "application/x-ndjson");
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const lines: unknown[] = [];
  for (let part = 0; part < 3; part++) {
    lines.push(JSON.parse(new TextDecoder().decode((await reader.read()).value)));
  }
  deepEqual(lines, [
    { kind: "begun", rowsMax: 5_000, deadlineMs: 15_000 },
    { kind: "columns", columns: [{ name: "x", type: "INTEGER", isNumber: true }] },
    { kind: "rows", rows: [[5_000]] },
  ]);
  reader.cancel();
  equal(signal?.aborted, true);
  equal((await post("/api/sql", "{}")).status, 400);
  equal((await post("/api/sql", "x".repeat(70_000))).status, 400);
});

Deno.test("without files, aggregator or processes each answer says so", async () => {
  const { get, post } = await worldOf();
  equal(await (await get("/api/fleet")).text(), "null");
  const detail = async (response: Response) => (await response.json() as { detail: string }).detail;
  match(await detail(await get("/live")), /^Only published files/);
  match(await detail(await get("/api/explain?device=a")), /^Only published files/);
  match(await detail(await post("/api/sql", '{"sql":"SELECT 1"}')), /use deno task sql/);
  match(await detail(await get("/api/device?device=a")), /^No such device/);
  equal((await get("/api/windows?device=a&from=x&to=1")).status, 400);
});

Deno.test("the live stream is handed on with its ids; without windows only they are left out", async () => {
  const paths: string[] = [];
  const text =
    'id: a.1\nevent: reset\ndata: {"reason":"new"}\n\nid: a.2\nevent: window\ndata: {"device":"event: device"}\n\n' +
    'id: a.3\nevent: device\ndata: {"device":"x"}\n\n: heartbeat\n\n';
  const { get } = await worldOf({
    aggregator: (path, init) => {
      paths.push(`${path} ${init.headers?.["last-event-id"] ?? ""}`);
      if (path === "/status") return Promise.resolve(Response.json({ config: { windows: ["1m", "1d"] } }));
      // In pieces that respect nothing.
      const pieces = text.match(/[\s\S]{1,7}/g) ?? [];
      const encoder = new TextEncoder();
      return Promise.resolve(
        new Response(
          new ReadableStream({
            start: (c) => (pieces.forEach((piece) => c.enqueue(encoder.encode(piece))), c.close()),
          }),
        ),
      );
    },
  });
  equal(await (await get("/live?device=x&window_size=1m&other=1", { "last-event-id": "a.0" })).text(), text);
  equal(await (await get("/live?windows=none")).text(), text.replace(/id: a\.2[\s\S]*?\n\n/, ""));
  deepEqual(paths, ["/live?device=x&window_size=1m a.0", "/status ", "/live?window_size=1d "]);
});

Deno.test("a device's name reaches SQL as a value or as a quoted text, never as SQL", async () => {
  const asked: [string, readonly Cell[]][] = [];
  const files: string[] = [];
  const rows: PublishedRows = {
    ...noRows,
    query: (sql, values = []) => (asked.push([sql, values]), Promise.resolve([])),
  };
  const sql: SqlRunner = {
    run: async function* () {},
    file: (text) => (files.push(text), Promise.resolve(new Blob(["x"]).stream())),
    close: () => Promise.resolve(),
  };
  const { get } = await worldOf({ rows, sql });
  const device = "'; DROP VIEW windows; --";
  await get(`/api/windows?${new URLSearchParams({ device, size: "1m'--", from: "0", to: "1" })}`);
  await get(`/api/device?${new URLSearchParams({ device })}`);
  for (const [text] of asked) ok(!text.includes("DROP") && !text.includes("1m'--"), text);
  ok(asked.every(([, values]) => values.includes(device)));
  const response = await get(
    `/download?${new URLSearchParams({
      device,
      size: "1m",
      from: "0",
      to: "1",
      what: "windows",
      format: "csv",
    })}`,
  );
  equal(response.headers.get("content-disposition"), 'attachment; filename="DROP-VIEW-windows----1m.csv"');
  ok(files[0]?.includes("device = '''; DROP VIEW windows; --'"), String(files[0]));
});
