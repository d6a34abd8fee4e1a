/** What fires now, what has fired, and the rules. */
import { get } from "./api.js";
import { h, replace } from "./dom.js";
import { ago, count, daySeconds, plural, utcText } from "./format.js";
import { icon } from "./icons.js";
import { every, nowMs } from "./world.js";

export const title = "Alerts";

const POLL_MS = 2_000;

const example = `{
  "webhook": null,
  "rules": [
    { "name": "too warm", "device": "greenhouse-*", "above": 30, "clear": 28 },
    { "name": "frost", "below": 2, "clear": 3, "statistic": "min" },
    { "name": "silent", "silent_for_s": 600 },
    { "name": "incomplete", "window_size": "1h", "complete_below": 0.9 }
  ]
}`;

export async function show(main, { signal, setLive }) {
  const verdict = h("section", { class: "card verdict", role: "status" });
  const body = h("div", { class: "stack" });
  replace(
    main,
    h("div", { class: "head" }, h("h1", { tabindex: -1 }, "Alerts")),
    h("div", { class: "stack" }, verdict, body),
  );
  let drawn = "";
  const poll = async () => {
    try {
      const alerts = await get("/api/alerts", {}, signal);
      if (signal.aborted) return;
      setLive("live");
      const signature = JSON.stringify(alerts);
      if (signature === drawn) return;
      drawn = signature;
      draw(verdict, body, alerts);
    } catch (error) {
      if (error.name !== "AbortError") setLive("broken");
    }
  };
  await poll();
  every(POLL_MS, poll, signal);
}

function draw(verdict, body, { hasRules, problems, webhook, rules, events }) {
  const firing = rules.flatMap((rule) => rule.firing.map((one) => ({ ...one, rule: rule.name })));
  const [tone, glyph, sentence] = problems.length > 0
    ? ["bad", "triangle", "The rules can't be read, so nothing is watched."]
    : !hasRules
    ? ["calm", "ring", "There are no rules yet."]
    : firing.length === 0
    ? [
      "good",
      "check",
      `Nothing fires. ${plural(rules.length, "rule")} ${
        rules.length === 1 ? "watches" : "watch"
      } every closed window.`,
    ]
    : ["bad", "triangle", `${plural(firing.length, "alert")} ${firing.length === 1 ? "fires" : "fire"} now.`];
  replace(verdict, icon(glyph, tone), h("span", {}, sentence));
  replace(
    body,
    problems.length > 0 &&
      h(
        "section",
        { class: "card" },
        h("h2", {}, "What is wrong with the rules"),
        h("ul", { class: "list" }, problems.map((problem) => h("li", { class: "wrong" }, problem))),
      ),
    firing.length > 0 && firingCard(firing),
    hasRules && problems.length === 0 && rulesCard(rules, webhook),
    events.length > 0 && eventsCard(events),
    !hasRules &&
      h(
        "section",
        { class: "card" },
        h("h2", {}, "Write some"),
        h(
          "p",
          { class: "quiet" },
          "Put them into the file alerts.json of the data folder; it is read again whenever it changes.",
        ),
        h("pre", { class: "serial", tabindex: 0 }, example),
      ),
  );
}

const deviceLink = (device) => h("a", { href: `/device?device=${encodeURIComponent(device)}` }, device);

function firingCard(firing) {
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Firing now"),
    h(
      "ul",
      { class: "list" },
      firing.slice(0, 200).map(({ rule, device, sinceMs }) =>
        h(
          "li",
          {},
          h("span", { class: "state bad" }, icon("triangle"), rule),
          h(
            "span",
            {},
            deviceLink(device),
            h(
              "span",
              { class: "quiet", title: utcText(sinceMs) },
              ` since ${daySeconds(sinceMs)}, ${ago(sinceMs, nowMs())}`,
            ),
          ),
        )
      ),
    ),
  );
}

function rulesCard(rules, webhook) {
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Rules"),
    h(
      "div",
      { class: "scroll", tabindex: 0, role: "group", "aria-label": "Rules" },
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h("tr", {}, ["Name", "Devices", "Fires", "Now"].map((text) => h("th", { scope: "col" }, text))),
        ),
        h(
          "tbody",
          {},
          rules.map((rule) =>
            h(
              "tr",
              {},
              h("td", {}, rule.name),
              h("td", {}, rule.device === "*" ? "all" : rule.device),
              h("td", {}, conditionText(rule)),
              h(
                "td",
                { class: rule.firing.length > 0 ? "bad" : "calm" },
                rule.firing.length === 0 ? "quiet" : count(rule.firing.length),
              ),
            )
          ),
        ),
      ),
    ),
    h(
      "p",
      { class: "quiet small" },
      webhook
        ? "Each event goes to the webhook, repeated until it is taken."
        : "No webhook is set: events stay on this page.",
    ),
  );
}

/** A rule as a sentence. Pure. */
export function conditionText({ when, windowSize }) {
  const unit = when.channel === "humidity_pct" ? "%" : "°C";
  switch (when.kind) {
    case "above":
    case "below":
      return `${when.statistic} of ${windowSize} ${when.kind} ${when.bound} ${unit}${
        when.clear === when.bound ? "" : `, until ${when.clear} ${unit}`
      }`;
    case "rate":
      return `change by more than ${when.perHourMax} ${unit} an hour, between ${windowSize} windows`;
    case "completeness":
      return `less than ${Math.round(when.bound * 100)} % of the readings in ${windowSize}`;
    case "silence":
      return `nothing heard for ${when.forMs / 1_000} s`;
  }
}

function eventsCard(events) {
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "What has happened"),
    h(
      "ul",
      { class: "list" },
      events.map((event) =>
        h(
          "li",
          {},
          h("span", { class: "quiet nowrap", title: utcText(event.atMs) }, daySeconds(event.atMs)),
          h(
            "span",
            {},
            h(
              "span",
              { class: `state ${event.kind === "fired" ? "bad" : "good"}` },
              icon(event.kind === "fired" ? "triangle" : "check"),
              event.kind === "fired" ? "Fired" : "Cleared",
            ),
            " ",
            h("b", {}, event.rule),
            ", ",
            deviceLink(event.device),
            `: ${event.sentence}. `,
            event.rows.map((
              { windowSize, startMs, revision },
            ) => [
              h("a", {
                href: `/explain?${new URLSearchParams({
                  device: event.device,
                  size: windowSize,
                  start: String(startMs),
                })}`,
              }, `window ${daySeconds(startMs)}${revision > 0 ? `, revision ${revision}` : ""}`),
              " ",
            ]),
            event.delivery !== "none" &&
              h(
                "span",
                { class: event.delivery === "given up" ? "bad" : "quiet" },
                `Webhook: ${event.delivery}${event.problem === null ? "" : `, ${event.problem}`}.`,
              ),
          ),
        )
      ),
    ),
  );
}
