/**
 * A real redis-server on loopback, for tests: a child process in a temporary folder, with an append-only file that is
 * synced on every append.
 */
import { RedisConnection } from "../redis/client.ts";
import { machineClock } from "../clock.ts";
import { freePort } from "./process.ts";

const UP_MS_MAX = 20_000;

export interface RedisServer {
  readonly host: string;
  readonly port: number;
  /** `host:port`. */
  readonly address: string;
  readonly folder: string;
  /** Ends it in order (SIGTERM), or as a crash would (SIGKILL). */
  stop(signal?: "SIGTERM" | "SIGKILL"): Promise<void>;
  /** Starts it again on the same data and port. */
  start(): Promise<void>;
  /** Lets it hang, and go on. */
  freeze(): void;
  thaw(): void;
  /** Sends a command on a connection of its own. */
  command(...args: readonly string[]): Promise<unknown>;
  /** Stops it and removes its folder. */
  remove(): Promise<void>;
}

/** Settings of redis.conf, by name. */
const settings: Readonly<Record<string, string>> = {
  appendonly: "yes",
  appendfsync: "always",
  save: "",
  "aof-load-truncated": "yes",
};

/** Starts one and waits until it answers. `executable` is another build of it. */
export async function startRedis(
  more: Readonly<Record<string, string>> = {},
  executable = "redis-server",
): Promise<RedisServer> {
  const folder = await Deno.makeTempDir({ prefix: "isotherm-redis-" });
  const host = "127.0.0.1";
  const port = more.port === undefined ? freePort() : Number(more.port);
  const place = { host, port, name: "" };
  let child: Deno.ChildProcess | null = null;

  const command = async (...args: readonly string[]): Promise<unknown> => {
    const connection = new RedisConnection({
      ...place,
      ...more.requirepass === undefined ? {} : { password: more.requirepass },
    });
    try {
      await connection.connect();
      return await connection.text(args);
    } finally {
      connection.cut();
    }
  };
  const start = async () => {
    const all: Record<string, string> = { ...settings, ...more, bind: host, port: String(port), dir: folder };
    const args = Object.entries(all).flatMap(([name, value]) => [`--${name}`, value]);
    const started = child = new Deno.Command(executable, {
      args,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    let exitCode: number | null = null;
    started.status.then(({ code }) => exitCode = code);
    for (const deadlineMs = machineClock.monotonicMs() + UP_MS_MAX;;) {
      // Until its data are loaded it answers with errors.
      if (await command("PING").then((answer) => answer === "PONG", () => false)) return;
      if (exitCode !== null) throw new Error(`redis-server exited with ${exitCode}`);
      if (machineClock.monotonicMs() > deadlineMs) {
        throw new Error(`redis-server did not answer within ${UP_MS_MAX} ms`);
      }
      await machineClock.sleep(20);
    }
  };
  const stop = async (signal: "SIGTERM" | "SIGKILL" = "SIGTERM") => {
    if (child === null) return;
    child.kill("SIGCONT");
    child.kill(signal);
    await child.status;
    child = null;
  };
  await start();
  return {
    host,
    port,
    address: `${host}:${port}`,
    folder,
    start,
    stop,
    freeze: () => child?.kill("SIGSTOP"),
    thaw: () => child?.kill("SIGCONT"),
    command,
    async remove() {
      await stop("SIGKILL");
      await Deno.remove(folder, { recursive: true });
    },
  };
}
