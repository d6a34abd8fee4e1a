/** Debian's mosquitto (2.0) on a free port of loopback, with its memory in a folder, so that it can be restarted. */
import { machineClock } from "../../platform/clock.ts";

export interface Mosquitto extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  stop(): Promise<void>;
  start(): Promise<void>;
}

export async function startMosquitto(): Promise<Mosquitto> {
  const folder = await Deno.makeTempDir({ prefix: "isotherm-mosquitto-" });
  await Deno.chmod(folder, 0o777); // it gives up root
  const port = freePort();
  const lines = [
    `listener ${port} 127.0.0.1`,
    "allow_anonymous true",
    "persistence true",
    `persistence_location ${folder}/`,
    "max_queued_messages 0",
    "autosave_interval 1",
  ];
  await Deno.writeTextFile(`${folder}/mosquitto.conf`, lines.join("\n") + "\n");
  let child: Deno.ChildProcess | null = null;
  const start = async () => {
    const program = await exists("/usr/sbin/mosquitto") ? "/usr/sbin/mosquitto" : "mosquitto";
    try {
      child = new Deno.Command(program, {
        args: ["-c", `${folder}/mosquitto.conf`],
        stdin: "null",
        stdout: "null",
        stderr: "null",
      }).spawn();
    } catch (error) {
      throw new Error("mosquitto isn't installed: apt-get install mosquitto", { cause: error });
    }
    for (let tries = 0; tries < 200; tries++) {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port }).catch(() => null);
      if (connection !== null) return connection.close();
      await sleep(25);
    }
    throw new Error("mosquitto did not come up within 5 s");
  };
  const stop = async () => {
    child?.kill("SIGTERM");
    await child?.status;
    child = null;
  };
  await start();
  return {
    url: `mqtt://127.0.0.1:${port}`,
    port,
    start,
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

const exists = (path: string) => Deno.stat(path).then(() => true, () => false);
const sleep = (ms: number) => machineClock.sleep(ms);

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
