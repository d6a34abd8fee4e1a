/**
 * The reference page: one file of HTML made from the OpenAPI document, the problems and the limits. It needs no other
 * host, no script and no font, so it works on an island, and under a policy that allows nothing but its own style.
 */
import { httpLimitSpecs, type LimitSpecs } from "../core/limit_table.ts";
import { problemKinds } from "../core/problem.ts";
import { ingestLimitSpecs } from "./limits.ts";
import { openapi, type Schema, schemas } from "./openapi.ts";

const STYLE = `
:root { color-scheme: light dark; --ink: #1c2321; --paper: #fcfcfa; --line: #d9ddd8; --soft: #5d6763; --mark: #0b6e5f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9e6; --paper: #15191a; --line: #343b3c; --soft: #9aa5a1; --mark: #5fd0bb; } }
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 62rem; margin: 0 auto; padding: 2rem 1.25rem 5rem; }
h1 { font-size: 1.7rem; } h2 { margin-top: 2.6rem; border-bottom: 1px solid var(--line); padding-bottom: .3rem; }
h3 { margin: 1.8rem 0 .3rem; font-size: 1.05rem; } a { color: var(--mark); } p { margin: .5rem 0; }
code, pre { font: .9em/1.5 ui-monospace, monospace; } pre { border: 1px solid var(--line); border-radius: 6px; padding: .8rem 1rem; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: .6rem 0; font-size: .93rem; } td, th { text-align: left; vertical-align: top; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line); }
.status { color: var(--soft); font-weight: 400; } nav a { margin-right: 1rem; }`;

const escaped = (text: string) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
/** Escaped text with `code` in backquotes. */
const prose = (text: string) => escaped(text).replace(/`([^`]+)`/g, "<code>$1</code>");

/** The page. */
export function referencePage(): string {
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Isotherm ingest: reference</title><style>${STYLE}</style>
<h1>Isotherm ingest</h1>
<p>Takes readings of temperature and humidity into the log. A 2xx means durable. This page is made from the tables that
the service runs by; so is <a href="/openapi.json">the OpenAPI 3.1 document</a>.</p>
<nav><a href="#send">Send</a><a href="#requests">Requests</a><a href="#data">Data</a><a href="#problems">Problems</a><a href="#limits">Limits</a></nav>
<h2 id="send">Send a reading</h2>
<pre>curl -d '{"device":"desk","temperature_c":21.5,"humidity_pct":40}' http://localhost:8086/v1/readings
curl -H 'Authorization: Bearer KEY' -H 'Content-Type: application/x-ndjson' \\
  --data-binary @readings.ndjson http://localhost:8086/v1/readings
curl --data-binary 'dht22,device=desk temperature=21.5,humidity=40' http://localhost:8086/api/v2/write</pre>
<p>Send <code>ts</code>, and <code>boot</code> and <code>seq</code> if the device has them: then a reading may be sent as
often as it takes, and counts once.</p>
<h2 id="requests">Requests</h2>
${requests()}
<h2 id="data">Data</h2>
${Object.entries(schemas).map(([name, schema]) => schemaSection(name, schema)).join("\n")}
<h2 id="problems">Problems</h2>
<p>Refusals are documents of RFC 9457, <code>application/problem+json</code>; their <code>type</code> leads here.</p>
${
    Object.entries(problemKinds).map(([name, { status, title, meaning }]) =>
      `<h3 id="${name}">${escaped(title)} <span class="status">${status} · ${name}</span></h3><p>${
        prose(meaning)
      }</p>`
    ).join("\n")
  }
<h2 id="limits">Limits</h2>
<h3>Of ingest</h3>
${limitTable(ingestLimitSpecs)}
<h3>Of the server</h3>
${limitTable(httpLimitSpecs)}
</html>
`;
}

interface Operation {
  readonly summary: string;
  readonly description?: string;
  readonly responses: Readonly<Record<string, { readonly description: string }>>;
}

function requests(): string {
  const paths = openapi().paths as Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { summary, description, responses }]) => {
      const answers = Object.entries(responses);
      const taken = answers.filter(([status]) => status < "300");
      const refused = answers.filter(([status]) => status >= "300").map(([status]) => status).join(", ");
      const rows = taken.map(([status, response]) =>
        `<tr><td>${status}</td><td>${prose(response.description)}</td></tr>`
      );
      rows.push(`<tr><td>${refused}</td><td>Refused, see <a href="#problems">the problems</a>.</td></tr>`);
      return `<h3><code>${method.toUpperCase()} ${escaped(path)}</code></h3><p>${prose(summary)}.</p>${
        description === undefined ? "" : `<p>${prose(description)}</p>`
      }<table>${rows.join("")}</table>`;
    })
  ).join("\n");
}

function schemaSection(name: string, schema: Schema): string {
  const rows = Object.entries(schema.properties ?? {}).map(([field, property]) =>
    `<tr><td><code>${escaped(field)}</code>${schema.required?.includes(field) ? " *" : ""}</td><td>${
      escaped(typeOf(property))
    }</td><td>${prose(property.description ?? "")}</td></tr>`
  );
  const example = schema.examples?.[0];
  return `<h3 id="schema-${name}">${name}</h3><p>${prose(schema.description ?? "")}</p><table>${
    rows.join("")
  }</table>${example === undefined ? "" : `<pre>${escaped(JSON.stringify(example, null, 1))}</pre>`}`;
}

function typeOf(schema: Schema): string {
  if (schema.$ref !== undefined) return schema.$ref.split("/").at(-1)!;
  const type = [schema.type ?? "any"].flat().filter((one) => one !== "null").join(" or ");
  const range = schema.minimum === undefined && schema.maximum === undefined
    ? ""
    : ` ${schema.minimum ?? ""} … ${schema.maximum ?? ""}`;
  const length = schema.maxLength === undefined ? "" : `, at most ${schema.maxLength} characters`;
  const items = schema.maxItems === undefined ? "" : `, at most ${schema.maxItems}`;
  const of = schema.items === undefined ? "" : ` of ${typeOf(schema.items)}`;
  return `${type}${of}${range}${length}${items}`;
}

function limitTable(specs: LimitSpecs): string {
  const rows = Object.values(specs).map(({ value, unit, meaning, consequence }) =>
    `<tr><td>${escaped(meaning)}</td><td>${value.toLocaleString("en-US")} ${unit}</td><td>${
      escaped(consequence)
    }</td></tr>`
  );
  return `<table><tr><th>what</th><th>at most</th><th>then</th></tr>${rows.join("")}</table>`;
}
