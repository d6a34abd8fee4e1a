/** One scenario on Wokwi's cloud, or on whatever else speaks its protocol at an address. */
import { APIClient } from "@wokwi/client";
import type { Clock } from "../../../core/ports/clock.ts";
import type { WokwiProject } from "../project.ts";
import type { Scenario } from "./scenario.ts";
import { type RunOptions, runScenario, type ScenarioResult } from "./scenario_run.ts";
import { WebSocketTransport } from "./transports.ts";

export interface CloudAccess {
  readonly url: string;
  readonly token: string;
}

/** Where wokwi-cli connects to, unless `WOKWI_CLI_SERVER` says otherwise. */
const cloudUrl = "wss://wokwi.com/api/ws/beta";

/** What the environment says, or a sentence that says what is missing. */
export function cloudAccess(variable: (name: string) => string | undefined): CloudAccess | string {
  const [token, server] = [variable("WOKWI_CLI_TOKEN"), variable("WOKWI_CLI_SERVER")];
  if (token === undefined || token === "") {
    return "WOKWI_CLI_TOKEN is missing: make a token at https://wokwi.com/dashboard/ci (an offline server takes any)";
  }
  const url = server === undefined || server === "" ? cloudUrl : server;
  return /^wss?:\/\//.test(url)
    ? { url, token }
    : `WOKWI_CLI_SERVER must begin with ws:// or wss://, not ${url}`;
}

export async function runOnCloud(
  access: CloudAccess,
  project: WokwiProject,
  scenario: Scenario,
  options: RunOptions,
  clock: Clock,
): Promise<ScenarioResult> {
  const client = new APIClient(new WebSocketTransport({ ...access, clock }));
  try {
    return await runScenario(client, project, scenario, options);
  } finally {
    client.close();
  }
}
