/** The Dockerfile without Docker: its cache is made and slimmed as it says, carries every service, and is small. */
import { ok } from "node:assert/strict";

const root = new URL("../", import.meta.url);
const dockerfile = await Deno.readTextFile(new URL("Dockerfile", root));
const MB = 1_000_000;
/** debian:bookworm-slim unpacked: 75 MB for amd64, 97 MB for arm64. Not measured here; `release.yml` measures the whole. */
const BASE_BYTES = 98 * MB;
const IMAGE_BYTES_MAX = 300 * MB;

async function run(
  command: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args: [...args], cwd: root, env })
    .output();
  const decoder = new TextDecoder();
  ok(success, `${command} ${args.join(" ")}:\n${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

/** Disk use of a folder in bytes. */
const sizeOf = async (path: string) => Number((await run("du", ["-sk", path])).split("\t")[0]) * 1_024;

Deno.test("the image's packages carry every service from the cache alone, and all of it has less than 300 MB", async () => {
  const denoDir = await Deno.makeTempDir({ prefix: "isotherm-image-" });
  try {
    const [, mains = ""] = /deno cache --frozen (.*) \\\n/.exec(dockerfile) ?? [];
    const entries = mains.split(" ");
    ok(entries.includes("ingest/main.ts") && entries.includes("dashboard/main.ts"), mains);
    await run(Deno.execPath(), ["cache", "--frozen", "--no-check", ...entries], { DENO_DIR: denoDir });
    ok(/&& dev\/image\/slim\.sh \/deno-dir/.test(dockerfile));
    await run("sh", ["dev/image/slim.sh", denoDir]);
    const sources = Number(
      (await run("sh", ["-c", "git ls-files -z | xargs -0 du -ck | tail -1"])).split("\t")[0],
    );
    const parts = {
      base: BASE_BYTES,
      deno: (await Deno.stat(await Deno.realPath(Deno.execPath()))).size,
      packages: await sizeOf(denoDir),
      sources: sources * 1_024,
    };
    const bytes = Object.values(parts).reduce((sum, part) => sum + part, 0);
    console.log(
      Object.entries(parts).map(([name, part]) => `${name} ${Math.round(part / MB)} MB`).join(", "),
    );
    ok(bytes < IMAGE_BYTES_MAX, `${Math.round(bytes / MB)} MB`);
    for (const main of entries) {
      const flags = ["run", "--cached-only", "--no-check", "--no-prompt", "--allow-all"];
      ok((await run(Deno.execPath(), [...flags, main, "--help"], { DENO_DIR: denoDir })).length > 100, main);
    }
  } finally {
    await Deno.remove(denoDir, { recursive: true });
  }
});
