import assert from "node:assert/strict";
import { matchesGlob } from "./glob.ts";

Deno.test("a star stands for any characters, everything else for itself", () => {
  const table: readonly (readonly [pattern: string, text: string, matches: boolean])[] = [
    ["*", "", true],
    ["*", "anything", true],
    ["desk", "desk", true],
    ["desk", "desk2", false],
    ["desk", "des", false],
    ["greenhouse-*", "greenhouse-3", true],
    ["greenhouse-*", "greenhouse-", true],
    ["greenhouse-*", "greenhouse", false],
    ["*-north", "a-north", true],
    ["*-north", "a-north-2", false],
    ["a*b*c", "a-b-b-c", true],
    ["a*b*c", "a-c-b", false],
    ["a.c", "abc", false],
    ["[ab]", "a", false],
    ["a?", "ab", false],
    ["**", "x", true],
    ["", "", true],
    ["", "x", false],
  ];
  for (const [pattern, text, matches] of table) {
    assert.equal(matchesGlob(pattern, text), matches, `${pattern} ${text}`);
  }
});

Deno.test("a pattern of stars takes no exponential time", () => {
  assert.equal(matchesGlob("a*".repeat(60) + "b", "a".repeat(128)), false);
});
