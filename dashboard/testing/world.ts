/** A running pipeline and a real browser, for live tests and for the README's pictures. */
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { machineClock } from "../../platform/clock.ts";
import { type Process, startProcess, taskArgs } from "../../platform/testing/process.ts";

export interface World extends AsyncDisposable {
  readonly ingestUrl: string;
  /** Without a slash at its end. */
  readonly dashboardUrl: string;
  readonly folder: string;
  readonly process: Process;
}

/** `deno task dev` with a data folder of its own, and these options. */
export async function startWorld(...options: string[]): Promise<World> {
  const folder = await Deno.makeTempDir({ prefix: "isotherm-dashboard-" });
  const process = startProcess([...await taskArgs("dev"), "--data", folder, "--port", "0", ...options]);
  const addressOf = async (what: string) =>
    /http:[^\s]+/.exec(await process.line(new RegExp(`^ {2}${what} `)))?.[0] ?? "";
  const ingestUrl = (await addressOf("ingest")).replace(/\/v1\/readings$/, "");
  const dashboardUrl = (await addressOf("dashboard")).replace(/\/$/, "");
  return {
    ingestUrl,
    dashboardUrl,
    folder,
    process,
    async [Symbol.asyncDispose]() {
      await process[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true }).catch(() => {});
    },
  };
}

export const widths = [390, 1440] as const;
export const schemes = ["light", "dark"] as const;

export interface Window extends AsyncDisposable {
  readonly browser: Browser;
  open(width: number, scheme: "light" | "dark", options?: { readonly scale?: number }): Promise<Sheet>;
}

/** A page, and everything that went wrong on it. */
export interface Sheet extends AsyncDisposable {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Errors of scripts and of the content security policy, failed requests, requests to elsewhere, dialogs. */
  readonly complaints: string[];
}

/** Debian's Chromium, with a profile of its own. */
export async function openBrowser(): Promise<Window> {
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  return {
    browser,
    async open(width, colorScheme, { scale = 1 } = {}) {
      const context = await browser.newContext({
        viewport: { width, height: width < 600 ? 844 : 900 },
        colorScheme,
        deviceScaleFactor: scale,
        timezoneId: "Europe/Berlin",
        locale: "en-GB",
      });
      const page = await context.newPage();
      const complaints: string[] = [];
      page.on("pageerror", (error) => complaints.push(`script: ${error.message}`));
      page.on("console", (message) => {
        if (message.type() === "error" || message.type() === "warning") {
          complaints.push(`console: ${message.text()} ${message.location().url}`);
        }
      });
      page.on("dialog", async (dialog) => {
        complaints.push(`dialog: ${dialog.message()}`);
        await dialog.dismiss();
      });
      page.on("request", (request) => {
        const { protocol, hostname } = new URL(request.url());
        if (protocol !== "data:" && protocol !== "blob:" && hostname !== "127.0.0.1") {
          complaints.push(`request: ${request.url()}`);
        }
      });
      return { page, context, complaints, [Symbol.asyncDispose]: () => context.close() };
    },
    [Symbol.asyncDispose]: () => browser.close(),
  };
}

/** Goes to a view and waits until it is drawn. */
export async function goTo(page: Page, url: string): Promise<void> {
  await page.goto(url, { waitUntil: "load" });
  await page.locator("main h1").first().waitFor();
}

/** Sends readings of one device; resolves when the log has them. */
export async function send(ingestUrl: string, batch: unknown): Promise<void> {
  const response = await fetch(`${ingestUrl}/v1/readings`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(batch),
  });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`ingest answered ${response.status}`);
}

/** Asks until `done` holds of the answer, for at most `ms`. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T>,
  done: (answer: T) => boolean,
  ms = 20_000,
): Promise<T> {
  const endMs = machineClock.monotonicMs() + ms;
  for (;;) {
    const answer = await ask();
    if (done(answer)) return answer;
    if (machineClock.monotonicMs() > endMs) {
      throw new Error(`${what}: not within ${ms} ms, but ${JSON.stringify(answer)?.slice(0, 400)}`);
    }
    await machineClock.sleep(200);
  }
}

/** A passage for TCP that can be cut: what a browser behind bad Wi-Fi sees. */
export function startPassage(toPort: number) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.TcpConn>();
  let isCut = false;
  const end = (connection: Deno.TcpConn) => {
    open.delete(connection);
    try {
      connection.close();
    } catch {
      // The other half has closed it.
    }
  };
  const join = async (from: Deno.TcpConn) => {
    if (isCut) return from.close();
    const to = await Deno.connect({ hostname: "127.0.0.1", port: toPort });
    open.add(from).add(to);
    const both = [from.readable.pipeTo(to.writable), to.readable.pipeTo(from.writable)];
    await Promise.race(both.map((half) => half.catch(() => {})));
    end(from);
    end(to);
  };
  (async () => {
    for await (const connection of listener) join(connection).catch(() => {});
  })().catch(() => {});
  return {
    url: `http://127.0.0.1:${listener.addr.port}`,
    /** Ends all connections; new ones are closed at once. */
    cut() {
      isCut = true;
      for (const connection of [...open]) end(connection);
    },
    mend() {
      isCut = false;
    },
    [Symbol.asyncDispose]() {
      listener.close();
      for (const connection of [...open]) end(connection);
      return Promise.resolve();
    },
  };
}
