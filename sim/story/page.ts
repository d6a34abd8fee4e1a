/**
 * The page of a run: one file that needs nothing else and asks nobody. Names come from senders, hostile ones among them:
 * they reach the page as data, are set as text, and no script runs but the page's own (its digest is in the policy).
 */
import { createHash } from "node:crypto";
import { storyData } from "./data.ts";
import type { Story } from "./story.ts";

const file = (name: string) => Deno.readTextFileSync(new URL(name, import.meta.url));
const sha256 = (text: string) => createHash("sha256").update(text).digest("base64");

/** JSON that no HTML parser takes for anything else, wherever it stands. */
const embedded = (value: unknown): string =>
  JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

export function storyPage(story: Story): string {
  const [script, style] = [file("page.js"), file("page.css")];
  const data = storyData(story);
  const policy = `default-src 'none'; script-src 'sha256-${sha256(script)}'; style-src 'sha256-${
    sha256(style)
  }'; base-uri 'none'; form-action 'none'`;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width">
<title>Isotherm: a run of the simulation, ${data.title}</title>
<style>${style}</style>
<h1>A run of the simulation, ${data.title}</h1>
<p id="verdict"></p>
<p>Times are virtual, UTC. Scroll over the lanes to look closer, drag to move. Click a reading to follow it from the
wire to its row; arrow keys go to the next one.</p>
<label>Reading <input id="find" placeholder="device seq" size="30"></label>
<div id="lanes" tabindex="0"></div>
<div id="legend"></div>
<h2>The reading</h2>
<ol id="way"><li>None is chosen.</li></ol>
<script type="application/json" id="data">${embedded(data)}</script>
<script>${script}</script>
</html>
`;
}
