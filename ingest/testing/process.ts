/** The ingest service as a real process on a free port of loopback, with an embedded log in a folder of its own. */
const main = new URL("../main.ts", import.meta.url).pathname;

export interface IngestProcess extends AsyncDisposable {
  readonly url: string;
  /** What it printed when it was up. */
  readonly lines: readonly string[];
  readonly pid: number;
  stop(signal: Deno.Signal): Promise<Deno.CommandStatus>;
}

function command(env: Record<string, string>, folder: string): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--allow-all", main],
    env: { ISOTHERM_PORT: "0", ISOTHERM_LOG: `embedded:${folder}`, ISOTHERM_TRACE: "warn", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

/** Starts it and waits until it listens. */
export async function startIngest(env: Record<string, string>): Promise<IngestProcess> {
  const folder = await Deno.makeTempDir({ prefix: "isotherm-ingest-" });
  const child = command(env, folder).spawn();
  const stderr = new Response(child.stderr).text();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const expected = env.ISOTHERM_KEY === undefined ? 1 : 2;
  let text = "";
  while (text.split("\n").length <= expected) {
    const next = await reader.read();
    if (next.done) throw new Error(`ingest ended before it listened: ${await stderr}`);
    text += next.value;
  }
  const lines = text.trim().split("\n");
  const url = /http:\/\/[^/]+:\d+/.exec(lines[0]!)![0].replace("0.0.0.0", "127.0.0.1");
  let status: Promise<Deno.CommandStatus> | null = null;
  const stop = (signal: Deno.Signal) => {
    if (status === null) {
      child.kill(signal);
      status = child.status.then(async (ended) => {
        await Promise.all([reader.cancel(), stderr]);
        await Deno.remove(folder, { recursive: true });
        return ended;
      });
    }
    return status;
  };
  return {
    url,
    lines,
    pid: child.pid,
    stop,
    async [Symbol.asyncDispose]() {
      await stop("SIGKILL");
    },
  };
}

/** Starts it where it is expected to end by itself. */
startIngest.toEnd = async (
  env: Record<string, string>,
): Promise<{ readonly code: number; readonly stderr: string }> => {
  const folder = await Deno.makeTempDir({ prefix: "isotherm-ingest-" });
  const { code, stderr } = await command({ ...env }, folder).output();
  await Deno.remove(folder, { recursive: true });
  return { code, stderr: new TextDecoder().decode(stderr) };
};
