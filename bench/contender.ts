/** Runs one contender as a process and measures it from its start to its last row. Linux only (`/proc`). */

export interface Measured {
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  /** Highest resident memory. */
  readonly peakMiB: number;
  /** From process start to the first committed row; null where it isn't looked for. */
  readonly firstRowSeconds: number | null;
}

export interface Contender {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Whether the last row is there; asked again and again. `output` is what it has printed so far. */
  isDone(output: string): Promise<boolean>;
  /** Whether the first row is there, for contenders that can tell. */
  readonly hasRow?: () => Promise<boolean>;
}

const TICKS_PER_SECOND = 100; // sysconf(_SC_CLK_TCK) on Linux

/** CPU seconds of a process and its threads, children not among them. */
export async function cpuSecondsOf(pid: number): Promise<number> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

async function peakMiBOf(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1_024;
}

/** Rejects with the process's last words if it ends before it is done, or takes longer than `deadlineMs`. */
export async function measure(contender: Contender, deadlineMs = 300_000): Promise<Measured> {
  const startedMs = performance.now();
  const child = new Deno.Command(contender.command, {
    args: [...contender.args],
    env: { ...contender.env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let output = "";
  const read = async (stream: ReadableStream<Uint8Array>) => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) output += text;
  };
  const reading = Promise.all([read(child.stdout), read(child.stderr)]);
  let exitCode: number | null = null;
  child.status.then(({ code }) => exitCode = code);
  let firstRowSeconds: number | null = null;
  try {
    while (!await contender.isDone(output)) {
      if (firstRowSeconds === null && contender.hasRow !== undefined && await contender.hasRow()) {
        firstRowSeconds = (performance.now() - startedMs) / 1_000;
      }
      if (exitCode !== null) {
        throw new Error(`${contender.name} ended with ${exitCode}:\n${output.slice(-4_000)}`);
      }
      if (performance.now() - startedMs > deadlineMs) {
        throw new Error(`${contender.name} took longer than ${deadlineMs} ms:\n${output.slice(-4_000)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const wallSeconds = (performance.now() - startedMs) / 1_000;
    const [cpuSeconds, peakMiB] = [await cpuSecondsOf(child.pid), await peakMiBOf(child.pid)];
    return { wallSeconds, cpuSeconds, peakMiB, firstRowSeconds };
  } finally {
    if (exitCode === null) child.kill("SIGKILL");
    await child.status;
    await child.stdin.close().catch(() => {});
    await reading.catch(() => {});
  }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
