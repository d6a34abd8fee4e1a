/** A disk that can be filled: a small tmpfs, where the system lets us mount one. */

export interface SmallDisk {
  readonly folder: string;
  /** Leaves no room. */
  fill(): Promise<void>;
  /** Gives the room back. */
  free(): Promise<void>;
  remove(): Promise<void>;
}

const BLOCK = new Uint8Array(1 << 16);

/** Mounts one of `sizeMb`; null where that isn't allowed or possible. */
export async function mountSmallDisk(folder: string, sizeMb: number): Promise<SmallDisk | null> {
  await Deno.mkdir(folder, { recursive: true });
  const run = async (command: string, args: readonly string[]) => {
    try {
      return (await new Deno.Command(command, { args: [...args], stderr: "null" }).output()).success;
    } catch {
      return false;
    }
  };
  if (!await run("mount", ["-t", "tmpfs", "-o", `size=${sizeMb}m`, "isotherm-chaos", folder])) return null;
  const ballast = `${folder}/ballast`;
  return {
    folder,
    async fill() {
      const file = await Deno.open(ballast, { create: true, append: true });
      try {
        for (;;) await file.write(BLOCK);
      } catch {
        // No room is left, as was asked for.
      } finally {
        file.close();
      }
    },
    async free() {
      await Deno.remove(ballast).catch(() => {});
    },
    async remove() {
      await run("umount", ["-l", folder]);
    },
  };
}
