/**
 * The frame around all views: navigation, theme, zone, the live mark, and which view is shown. A view is a module with
 * `title` and `show(main, { params, signal, about, setLive })`; when another one is shown, `signal` aborts, and with it
 * ends everything that the view had begun.
 */
import { get } from "./api.js";
import { h, replace } from "./dom.js";
import { ago, isUtc, useUtc, zoneName } from "./format.js";
import { icon } from "./icons.js";
import { every, nowMs } from "./world.js";

const views = {
  "/": { label: "Overview", icon: "overview", load: () => import("./overview.js") },
  "/pipeline": { label: "Pipeline", icon: "pipeline", load: () => import("./pipeline.js") },
  "/sql": { label: "SQL", icon: "sql", load: () => import("./console.js") },
  "/alerts": { label: "Alerts", icon: "alerts", load: () => import("./alerts.js") },
  "/bench": { label: "Bench", icon: "bench", load: () => import("./bench.js"), needs: "hasBench" },
  "/device": { load: () => import("./device.js"), under: "/" },
  "/explain": { load: () => import("./explain.js"), under: "/" },
};

useUtc(localStorage.getItem("zone") === "utc");
const top = document.getElementById("top");
const main = document.getElementById("main");
const liveMark = h("span", { class: "live-mark", role: "status" });
let about = null;
let ending = new AbortController();
let live = null;

function drawTop() {
  const path = location.pathname;
  const current = views[path]?.under ?? path;
  const links = Object.entries(views)
    .filter(([, view]) => view.label !== undefined && (view.needs === undefined || about?.[view.needs]))
    .map(([href, view]) =>
      h("a", { href, "aria-current": current === href ? "page" : null }, icon(view.icon), view.label)
    );
  replace(
    top,
    h(
      "a",
      { href: "/", class: "brand" },
      h("img", { src: "/icon.svg", alt: "", width: 26, height: 26 }),
      "Isotherm",
    ),
    h("nav", { class: "nav", "aria-label": "Views" }, links),
    h(
      "div",
      { class: "top-end" },
      liveMark,
      h("button", {
        class: "button plain small",
        title: "Times in your zone, or in UTC",
        "aria-pressed": String(isUtc()),
        "aria-label": isUtc() ? "Times are in UTC: show your zone" : `Times are in ${zoneName()}: show UTC`,
        onclick: toggleZone,
      }, zoneName()),
      h("button", {
        class: "button plain",
        title: "Light or dark",
        "aria-label": "Light or dark",
        onclick: toggleTheme,
      }, icon("theme")),
      about?.needsSignIn &&
        h(
          "form",
          { method: "post", action: "/sign-out" },
          h("button", { class: "button plain small" }, "Sign out"),
        ),
    ),
  );
}

function toggleZone() {
  useUtc(!isUtc());
  localStorage.setItem("zone", isUtc() ? "utc" : "local");
  showView();
}

function toggleTheme() {
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
  const shown = document.documentElement.dataset.theme ?? (isDark ? "dark" : "light");
  const next = shown === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  localStorage.setItem("theme", next);
  dispatchEvent(new Event("theme"));
}

/** What the page says of its own freshness; null: this view shows files as they were when it was opened. */
function setLive(word, sinceMs = nowMs()) {
  live = word === null ? null : { word, sinceMs };
  drawLive();
}
function drawLive() {
  const [tone, glyph, text] = live === null
    ? ["", null, ""]
    : live.word === "live"
    ? ["good", "dot", "Live"]
    : live.word === "files"
    ? ["calm", "ring", "Files only"]
    : ["bad", "slash", `Not live, ${ago(live.sinceMs, nowMs()).replace("just now", "since just now")}`];
  liveMark.className = `live-mark ${tone}`;
  replace(liveMark, glyph === null ? null : icon(glyph), text);
}

async function showView() {
  ending.abort();
  ending = new AbortController();
  const { signal } = ending;
  const view = views[location.pathname] ?? views["/"];
  setLive(null);
  drawTop();
  try {
    const [module, known] = await Promise.all([view.load(), about ?? get("/api/about")]);
    if (signal.aborted) return;
    if (about === null) {
      about = known;
      drawTop();
    }
    replace(main);
    document.title = `${module.title} · Isotherm`;
    await module.show(main, { params: new URLSearchParams(location.search), signal, about, setLive, go });
  } catch (error) {
    if (signal.aborted) return;
    replace(
      main,
      h("h1", { tabindex: -1 }, "This page can't be shown"),
      h("p", { class: "notice is-bad", role: "alert" }, error.message),
      h("button", { class: "button", onclick: showView }, "Try again"),
    );
  }
}

/** Goes to a page of ours without loading the document anew. */
function go(href, { replaced = false, quiet = false } = {}) {
  if (href === location.pathname + location.search && !replaced) return;
  history[replaced ? "replaceState" : "pushState"](null, "", href);
  if (quiet) return;
  scrollTo(0, 0);
  showView().then(() => main.querySelector("h1")?.focus({ preventScroll: true }));
}

addEventListener("popstate", showView);
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  if (link === null || link === undefined || event.defaultPrevented) return;
  if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const url = new URL(link.href);
  if (
    url.origin !== location.origin || views[url.pathname] === undefined || link.target ||
    link.hasAttribute("download")
  ) return;
  if (url.pathname === location.pathname && url.search === location.search && url.hash !== "") return;
  event.preventDefault();
  go(url.pathname + url.search);
});

every(1_000, drawLive, new AbortController().signal);
showView();
