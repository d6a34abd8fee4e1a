/** What fires now, what has fired, and the rules. */
import { get } from "./api.js";
import { h, replace } from "./dom.js";
import { ago, count, daySeconds, plural, utcText } from "./format.js";
import { icon } from "./icons.js";
import { every, nowMs } from "./world.js";

export const title = "Alerts";

const POLL_MS = 2_000;
const FIRING_SHOWN_MAX = 200;

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

function draw(verdict, body, { from, has_file: hasFile, problems, webhook, rules, alerts }) {
  const firing = rules.flatMap((rule) => rule.firing.map((one) => ({ ...one, rule: rule.name })));
  const total = rules.reduce((sum, rule) => sum + rule.firing_devices, 0);
  const [tone, glyph, sentence] = problems.length > 0
    ? [
      "bad",
      "triangle",
      rules.length > 0
        ? "The file of rules can't be read: those before it stay in force."
        : "The file of rules can't be read, so nothing is watched.",
    ]
    : rules.length === 0
    ? ["calm", "ring", hasFile ? "The rules are about to be recorded." : "There are no rules yet."]
    : total === 0
    ? [
      "good",
      "check",
      `Nothing fires. ${plural(rules.length, "rule")} ${
        rules.length === 1 ? "watches" : "watch"
      } every window that closes.`,
    ]
    : ["bad", "triangle", `${plural(total, "alert")} ${total === 1 ? "fires" : "fire"} now.`];
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
    firing.length > 0 && firingCard(firing, total),
    rules.length > 0 && rulesCard(rules, webhook, from),
    alerts.length > 0 && alertsCard(alerts),
    rules.length === 0 && !hasFile &&
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

function firingCard(firing, total) {
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Firing now"),
    h(
      "ul",
      { class: "list" },
      firing.slice(0, FIRING_SHOWN_MAX).map(({ rule, device, since }) =>
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
              { class: "quiet", title: utcText(Date.parse(since)) },
              ` since ${daySeconds(Date.parse(since))}, ${ago(Date.parse(since), nowMs())}`,
            ),
          ),
        )
      ),
    ),
    total > FIRING_SHOWN_MAX &&
      h(
        "p",
        { class: "quiet small" },
        `The first ${FIRING_SHOWN_MAX} of ${total}; all are in the view alerts.`,
      ),
  );
}

function rulesCard(rules, webhook, from) {
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Rules"),
    h(
      "ul",
      { class: "list rules" },
      rules.map((rule) =>
        h(
          "li",
          {},
          h("b", { class: "rule-name" }, rule.name),
          h(
            "span",
            { class: "rule-text" },
            conditionText(rule),
            h("span", { class: "quiet" }, rule.device === "*" ? ", every device" : `, ${rule.device}`),
          ),
          rule.firing_devices > 0
            ? h("span", { class: "state bad" }, icon("triangle"), `fires for ${count(rule.firing_devices)}`)
            : h("span", { class: "state calm" }, icon("ring"), "quiet"),
        )
      ),
    ),
    h(
      "p",
      { class: "quiet small" },
      from === "files"
        ? "As of the newest files: the aggregator, which tells the webhook, isn't asked."
        : webhook
        ? "Each alert goes to the webhook, repeated until it is taken."
        : "No webhook is set: alerts stay on this page.",
    ),
  );
}

/** A rule as a sentence. Pure. */
export function conditionText(rule) {
  const { window_size: size, statistic, clear } = rule;
  const unit = rule.channel === "humidity_pct" ? "%" : "°C";
  if (rule.above !== undefined || rule.below !== undefined) {
    const [side, bound] = rule.above !== undefined ? ["above", rule.above] : ["below", rule.below];
    return `${statistic} of ${size} ${side} ${bound} ${unit}${
      clear === bound ? "" : `, until ${clear} ${unit}`
    }`;
  }
  if (rule.changes_per_hour !== undefined) {
    return `change by more than ${rule.changes_per_hour} ${unit} an hour, between ${size} windows`;
  }
  if (rule.complete_below !== undefined) {
    const percent = (share) => `${Math.round(share * 1_000) / 10} %`;
    return `less than ${percent(rule.complete_below)} of the readings in ${size}${
      clear === rule.complete_below ? "" : `, until ${percent(clear)}`
    }`;
  }
  return `nothing heard for ${rule.silent_for_s} s`;
}

function alertsCard(alerts) {
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "What has happened"),
    h("ul", { class: "list events" }, alerts.map(alertItem)),
  );
}

function alertItem(alert) {
  const atMs = Date.parse(alert.alert_time);
  const isFired = alert.kind === "fired";
  const starts = [alert.previous_window_start, alert.window_start].filter((start) => start !== null);
  return h(
    "li",
    {},
    h("span", { class: "quiet nowrap", title: utcText(atMs) }, daySeconds(atMs)),
    h(
      "span",
      {},
      h(
        "span",
        { class: `state ${isFired ? "bad" : "good"}` },
        icon(isFired ? "triangle" : "check"),
        isFired ? "Fired" : "Cleared",
      ),
      " ",
      h("b", {}, alert.rule),
      ", ",
      deviceLink(alert.device),
      `: ${alert.sentence}. `,
      starts.map((start) => [windowLink(alert, Date.parse(start)), " "]),
      h("span", { class: alert.delivery === "given up" ? "bad" : "quiet" }, deliveryText(alert)),
    ),
  );
}

const windowLink = ({ device, window_size: size }, startMs) =>
  h(
    "a",
    { href: `/explain?${new URLSearchParams({ device, size, start: String(startMs) })}` },
    `window ${daySeconds(startMs)}`,
  );

function deliveryText({ past, delivery, problem }) {
  if (past) return "Before the rule was there.";
  if (delivery === null || delivery === "none") return "";
  return `Webhook: ${delivery}${problem === null ? "" : `, ${problem}`}.`;
}
