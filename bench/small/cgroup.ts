/**
 * A control group with a share of the processor and a bound on memory, for running a process as on a small machine
 * (Linux, root). Version 2 where the kernel has it at `/sys/fs/cgroup`, else version 1 with one folder a controller.
 *
 * Source: the kernel's documentation, admin-guide/cgroup-v2 and admin-guide/cgroup-v1.
 */

export interface Bounds {
  /** Share of one core: 1 is a whole one. */
  readonly cores: number;
  readonly memoryMiB: number;
}

export interface Usage {
  readonly cpuSeconds: number;
  /** Periods of 100 ms in which the group wanted more than its share, of all in which it ran. */
  readonly throttled: number;
  /** Processes killed for want of memory. */
  readonly kills: number;
}

export interface ControlGroup {
  /** Shell words before a command that puts it into the group. */
  readonly enter: string;
  usage(): Promise<Usage>;
  remove(): Promise<void>;
}

const ROOT = "/sys/fs/cgroup";
const PERIOD_MICROS = 100_000;

/** Makes a group. Rejects with a sentence where this machine lets nobody. */
export async function createControlGroup(name: string, bounds: Bounds): Promise<ControlGroup> {
  try {
    return await exists(`${ROOT}/cgroup.controllers`)
      ? await createV2(name, bounds)
      : await createV1(name, bounds);
  } catch (error) {
    throw new Error(
      `no control group could be made under ${ROOT}: run this as root on Linux, outside of a container that mounts it ` +
        `read-only (${(error as Error).message})`,
    );
  }
}

async function createV2(name: string, { cores, memoryMiB }: Bounds): Promise<ControlGroup> {
  const folder = `${ROOT}/${name}`;
  await Deno.writeTextFile(`${ROOT}/cgroup.subtree_control`, "+cpu +memory");
  await Deno.mkdir(folder);
  await Deno.writeTextFile(`${folder}/cpu.max`, `${Math.round(cores * PERIOD_MICROS)} ${PERIOD_MICROS}`);
  await Deno.writeTextFile(`${folder}/memory.max`, String(memoryMiB * 1_048_576));
  await Deno.writeTextFile(`${folder}/memory.swap.max`, "0").catch(() => {}); // no swap in this kernel
  return {
    enter: `echo $$ > ${folder}/cgroup.procs`,
    usage: async () => {
      const cpu = await Deno.readTextFile(`${folder}/cpu.stat`);
      const events = await Deno.readTextFile(`${folder}/memory.events`);
      return {
        cpuSeconds: fieldOf(cpu, "usage_usec") / 1e6,
        throttled: fieldOf(cpu, "nr_throttled") / Math.max(1, fieldOf(cpu, "nr_periods")),
        kills: fieldOf(events, "oom_kill"),
      };
    },
    remove: () => removeFolder(folder),
  };
}

async function createV1(name: string, { cores, memoryMiB }: Bounds): Promise<ControlGroup> {
  const [cpu, account, memory] = ["cpu", "cpuacct", "memory"].map((controller) =>
    `${ROOT}/${controller}/${name}`
  ) as [
    string,
    string,
    string,
  ];
  // Where two controllers are mounted together, the second folder is the first.
  for (const folder of [cpu, account, memory]) await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(`${cpu}/cpu.cfs_period_us`, String(PERIOD_MICROS));
  await Deno.writeTextFile(`${cpu}/cpu.cfs_quota_us`, String(Math.round(cores * PERIOD_MICROS)));
  await Deno.writeTextFile(`${memory}/memory.limit_in_bytes`, String(memoryMiB * 1_048_576));
  return {
    enter: [cpu, account, memory].map((folder) => `echo $$ > ${folder}/cgroup.procs`).join(" && "),
    usage: async () => {
      const stat = await Deno.readTextFile(`${cpu}/cpu.stat`);
      const kills = await Deno.readTextFile(`${memory}/memory.oom_control`);
      return {
        cpuSeconds: Number(await Deno.readTextFile(`${account}/cpuacct.usage`)) / 1e9,
        throttled: fieldOf(stat, "nr_throttled") / Math.max(1, fieldOf(stat, "nr_periods")),
        kills: fieldOf(kills, "oom_kill"),
      };
    },
    remove: async () => {
      for (const folder of new Set([cpu, account, memory])) await removeFolder(folder);
    },
  };
}

/** `name 123` in a file of such lines; 0 if it isn't there. */
function fieldOf(text: string, name: string): number {
  return Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1] ?? 0);
}

/** A group whose last process has just ended is busy for a moment. */
async function removeFolder(folder: string): Promise<void> {
  for (let attempt = 0;; attempt++) {
    try {
      return await Deno.remove(folder);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      if (attempt === 50) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
