import assert from "node:assert/strict";
import { problemKinds } from "../core/problem.ts";
import { referencePage } from "./reference.ts";
import { inWorld } from "./testing/world.ts";

Deno.test("the reference page needs no other host and no script", () => {
  const page = referencePage();
  assert.ok(!/<script|<link|<img|src=|@import|url\(/i.test(page));
  for (const [link] of page.matchAll(/https?:\/\/[^\s<"]+/g)) {
    assert.match(link, /^http:\/\/localhost:8086\//);
  }
});

Deno.test("every problem type leads to its place on the page", () => {
  const page = referencePage();
  for (const name of Object.keys(problemKinds)) assert.ok(page.includes(`id="${name}"`), name);
});

Deno.test("every anchor that the page links to is on it, and every tag is closed", () => {
  const page = referencePage();
  for (const [, id] of page.matchAll(/href="#([^"]+)"/g)) assert.ok(page.includes(`id="${id}"`), `no ${id}`);
  for (const tag of ["table", "tr", "td", "p", "pre", "h2", "h3", "code", "nav", "span"]) {
    const opened = page.match(new RegExp(`<${tag}[ >]`, "g"))?.length;
    assert.equal(page.match(new RegExp(`</${tag}>`, "g"))?.length, opened, tag);
  }
});

Deno.test("the page is served with a policy that allows its style only", async () => {
  await inWorld(async ({ ingest }) => {
    const response = await ingest.app.request("/reference");
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), "text/html; charset=utf-8");
    assert.equal(
      response.headers.get("content-security-policy"),
      "default-src 'none'; style-src 'unsafe-inline'",
    );
    assert.equal(await response.text(), referencePage());
    const root = await (await ingest.app.request("/")).json();
    assert.deepEqual(root, {
      service: "isotherm ingest",
      readings: "/v1/readings",
      reference: "/reference",
      openapi: "/openapi.json",
    });
  });
});
