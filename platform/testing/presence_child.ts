/** A worker that shows that it lives, for `worker_presence_test.ts`: folder and name are its arguments. */
import { silentTrace } from "../../core/ports/trace.ts";
import { machineClock } from "../clock.ts";
import { holdPresence } from "../worker_presence.ts";

const [folder, name] = Deno.args;
const dead = (other: string) => Promise.resolve(console.log(`${other} is dead`));
await holdPresence({ folder: folder!, name: name!, clock: machineClock, trace: silentTrace, dead });
console.log("lives");
