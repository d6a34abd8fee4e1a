import { deepEqual, equal } from "node:assert/strict";
import {
  type AlertRule,
  concerns,
  decodeRules,
  definitionOf,
  parseAlerts,
  rulesText,
} from "./alert_rules.ts";

function ruleOf(rule: Record<string, unknown>): AlertRule {
  const parsed = parseAlerts(JSON.stringify({ rules: [{ name: "r", ...rule }] }));
  if (parsed.kind === "problems") throw new Error(parsed.problems.join());
  return parsed.rules[0] as AlertRule;
}

Deno.test("a star in a rule's device stands for any text", () => {
  const is = (pattern: string, device: string) =>
    concerns({ ...ruleOf({ above: 1 }), device: pattern }, device);
  deepEqual(
    [
      is("*", "a"),
      is("green-*", "green-1"),
      is("green-*", "red-1"),
      is("*-in", "x-in"),
      is("a*a", "a"),
      is("a*b*c", "axbxc"),
    ],
    [true, true, false, true, false, true],
  );
  deepEqual([is("a.c", "abc"), is("*", ""), is("a*b*c", "acb")], [false, false, false]);
});

Deno.test("a file of rules tells all its problems at once", () => {
  deepEqual(parseAlerts("[]"), { kind: "problems", problems: ["`rules` must be a list"] });
  deepEqual(
    parseAlerts(JSON.stringify({
      webhook: "ftp://x",
      rules: [
        { name: "a", above: 1, clear: 2 },
        { name: "b", above: 1, below: 2 },
        { name: "b", silent_for_s: 9 },
        { name: "b", complete_below: 1.1 },
        { name: "c", above: 1, channel: "pressure" },
        { name: "d", above: 1 },
        { name: "d", below: 1 },
        4,
        { name: "e", below: 1e10 },
      ],
    })),
    {
      kind: "problems",
      problems: [
        "`webhook` must be an address that begins with http:// or https://",
        "rule 1: `clear` must not be above `above`",
        "rule 2: needs exactly one number of `above`, `below`, `changes_per_hour`, `complete_below`, `silent_for_s`",
        "rule 3: `silent_for_s` must be at least 10",
        "rule 4: `complete_below` must be above 0 and at most 1",
        "rule 5: `channel` must be temperature_c or humidity_pct",
        "rule 8: must be an object",
        "rule 9: needs exactly one number of `above`, `below`, `changes_per_hour`, `complete_below`, `silent_for_s`",
        'two rules are called "d": names tell alerts apart',
      ],
    },
  );
});

Deno.test("a hundred rules are taken, one more is refused", () => {
  const rules = (count: number) =>
    parseAlerts(
      JSON.stringify({ rules: Array.from({ length: count }, (_, i) => ({ name: `${i}`, above: i })) }),
    );
  equal(rules(100).kind, "rules");
  deepEqual(rules(101), { kind: "problems", problems: ["there are 101 rules: at most 100"] });
});

Deno.test("a rule's definition has every default in it, and reads back as the same rule", () => {
  const given = [
    { above: 30, clear: 28.5 },
    { below: 2, statistic: "min", channel: "humidity_pct", window_size: "1h", device: "a*" },
    { changes_per_hour: 6.25 },
    { complete_below: 0.9 },
    { silent_for_s: 600 },
  ];
  const definitions = given.map((rule) => definitionOf(ruleOf(rule)));
  deepEqual(definitions, [
    '{"name":"r","device":"*","window_size":"1m","above":30,"clear":28.5,"channel":"temperature_c","statistic":"mean"}',
    '{"name":"r","device":"a*","window_size":"1h","below":2,"clear":2,"channel":"humidity_pct","statistic":"min"}',
    '{"name":"r","device":"*","window_size":"1m","changes_per_hour":6.25,"channel":"temperature_c"}',
    '{"name":"r","device":"*","window_size":"1m","complete_below":0.9,"clear":0.9}',
    '{"name":"r","device":"*","silent_for_s":600}',
  ]);
  for (const [index, rule] of given.entries()) {
    const decoded = decodeRules(new TextEncoder().encode(rulesText([definitions[index]!])));
    deepEqual(decoded, { kind: "ok", value: [ruleOf(rule)] });
  }
});

Deno.test("a record that holds no rules is undecodable, with the reason", () => {
  const decode = (text: string) => decodeRules(new TextEncoder().encode(text));
  deepEqual(decode('{"rules":[4]}'), { kind: "bad", detail: "rule 1: must be an object" });
  equal(decodeRules(null).kind, "bad");
});
