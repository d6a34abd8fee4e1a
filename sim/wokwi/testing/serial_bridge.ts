/**
 * The serial port of a board behind a Wokwi server on standard input and output, byte by byte as wokwi-cli's RFC2217 port
 * has it. The board has MicroPython's own firmware and nothing else.
 *
 *     deno run --allow-net sim/wokwi/testing/serial_bridge.ts ws://127.0.0.1:9177
 */
import process from "node:process";
import { APIClient } from "@wokwi/client";
import { machineClock } from "../../../platform/clock.ts";
import { WebSocketTransport } from "../runner/transports.ts";

/** As far as a simulator looks at it. */
const firmware = new TextEncoder().encode("\xe9 MicroPython for the ESP32");

const url = process.argv[2] ?? "";
const client = new APIClient(new WebSocketTransport({ url, token: "any-token", clock: machineClock }));
await client.connected;
await client.fileUpload("firmware.bin", firmware);
client.listen("serial-monitor:data", (event) => {
  process.stdout.write(new Uint8Array((event.payload as { bytes: number[] }).bytes));
});
await client.serialMonitorListen();
await client.simStart({ firmware: "firmware.bin", elf: "firmware.bin" });
process.stdin.on("data", (bytes: Uint8Array) => {
  for (const byte of bytes) client.serialMonitorWrite(new Uint8Array([byte])).catch(() => process.exit(1));
});
process.stdin.on("end", () => process.exit(0));
