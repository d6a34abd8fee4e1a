/** The project's firmware, as it lies in `firmware/`, and the settings that go with it. */
import { readdirSync, readFileSync } from "node:fs";
import type { Flash } from "./flash.ts";

/** File name and content of each module. */
export type Firmware = ReadonlyMap<string, Uint8Array>;

const FOLDER = new URL("../../firmware/", import.meta.url);

/** Reads `firmware/*.py`. */
export function loadFirmware(): Firmware {
  const names = readdirSync(FOLDER).filter((name) => name.endsWith(".py")).sort();
  return new Map(names.map((name) => [name, new Uint8Array(readFileSync(new URL(name, FOLDER)))]));
}

/** What `settings.json` may say; the firmware's `settings.py` has the defaults and the rules. */
export interface FirmwareSettings {
  readonly device?: string;
  readonly wifi_ssid?: string;
  readonly wifi_key?: string;
  readonly ingest_url?: string;
  readonly key?: string;
  readonly every_ms?: number;
  readonly ntp_host?: string;
  readonly sensor_pin?: number;
  readonly sensor_power_pin?: number;
  readonly led_pin?: number | null;
  readonly tls_ca_file?: string;
}

/** Copies the firmware and its settings into a board's flash, as `mpremote fs cp` does. */
export function installFirmware(flash: Flash, firmware: Firmware, settings: FirmwareSettings): void {
  for (const [name, content] of firmware) flash.put(`/${name}`, content);
  flash.put("/settings.json", JSON.stringify({ wifi_ssid: "isotherm", wifi_key: "simulated", ...settings }));
}
