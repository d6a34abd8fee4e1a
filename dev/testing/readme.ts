/**
 * The README's tables of settings, made from the declarations that the services read. As a program (`deno task update`)
 * it writes them into the README; `dev/readme_test.ts` fails when they differ.
 */
import { aggregatorSettings } from "../../aggregator/settings.ts";
import { settingsMarkdown } from "../../core/settings.ts";
import { dashboardSettings } from "../../dashboard/settings.ts";
import { ingestSettings } from "../../ingest/config.ts";
import { logSettings } from "../../platform/log_address.ts";
import { serviceSettings } from "../../platform/service.ts";
import { tlsSettings } from "../../platform/service_tls.ts";

export const readmePath = new URL("../../README.md", import.meta.url);

const tables: Readonly<Record<string, string>> = {
  ingest: settingsMarkdown({ ...ingestSettings, ...tlsSettings }),
  aggregator: settingsMarkdown(aggregatorSettings),
  dashboard: settingsMarkdown(dashboardSettings),
  log: settingsMarkdown(logSettings),
  all: settingsMarkdown(serviceSettings),
};

/** The text with every `<!-- settings NAME -->` … `<!-- end -->` filled in. */
export function withTables(text: string): string {
  return text.replace(
    /<!-- settings (\w+) -->\n[^]*?<!-- end -->/g,
    (whole, name: string) =>
      tables[name] === undefined ? whole : `<!-- settings ${name} -->\n\n${tables[name]}\n\n<!-- end -->`,
  );
}

if (import.meta.main) await Deno.writeTextFile(readmePath, withTables(await Deno.readTextFile(readmePath)));
