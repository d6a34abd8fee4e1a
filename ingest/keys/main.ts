/** `deno task keys`: makes, lists, rotates and revokes the keys of ingest, without a restart. */
import { machineClock } from "../../platform/clock.ts";
import { keyHashing, newKey } from "../../platform/keys.ts";
import { machineRandom } from "../../platform/random.ts";
import { replaceFile } from "../../platform/watched_file.ts";
import { keysHelp, parseKeysCommand, runKeysCommand } from "./command.ts";

const command = parseKeysCommand(Deno.args, Deno.env.get("ISOTHERM_KEYS") || null);
switch (command.kind) {
  case "help":
    console.log(keysHelp);
    break;
  case "problem":
    fail(command.problem);
    break;
  default: {
    const text = await Deno.readTextFile(command.file).catch((error) => {
      if (error instanceof Deno.errors.NotFound) return null;
      return fail(`can't read ${command.file}: ${error.message}`);
    });
    const result = runKeysCommand(command, text, machineClock.nowMs(), (name) => {
      const key = newKey(name, machineRandom);
      const hash = [...keyHashing.hashOf(key)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
      return { key, hash };
    });
    if (result.kind === "problem") fail(result.problem);
    else {
      if (result.text !== null) {
        const folder = /^(.*)[/\\][^/\\]*$/.exec(command.file)?.[1];
        if (folder) await Deno.mkdir(folder, { recursive: true });
        await replaceFile(command.file, result.text);
      }
      for (const line of result.lines) console.log(line);
    }
  }
}

function fail(message: string): never {
  console.error(`keys: ${message}`);
  Deno.exit(1);
}
