/** Prints what the firmware takes: source, backlog and flash wear. Run by `deno task firmware:sizes`. */
import { readdirSync, readFileSync } from "node:fs";
import { backlogSizes, wear } from "./flash_budget.ts";

const rows: string[][] = [["module", "bytes", "lines"]];
let bytes = 0;
const folder = new URL(".", import.meta.url);
for (const name of readdirSync(folder).filter((name) => name.endsWith(".py")).sort()) {
  const text = readFileSync(new URL(name, folder), "utf8");
  bytes += text.length;
  rows.push([name, String(text.length), String(text.split("\n").length - 1)]);
}
rows.push(["all", String(bytes), ""]);
for (const [name = "", size = "", lines = ""] of rows) {
  console.log(`${name.padEnd(20)}${size.padStart(8)}${lines.padStart(7)}`);
}
for (const everyMs of [2_000, 10_000, 60_000]) {
  const { hours, bytes: ringBytes } = backlogSizes(everyMs);
  const { erasesPerDay, years } = wear(everyMs);
  console.log(
    `every ${everyMs / 1000} s: backlog ${hours.toFixed(1)} h in ${ringBytes} bytes; ` +
      `${Math.round(erasesPerDay)} block erases a day, ${years.toFixed(1)} years of life`,
  );
}
