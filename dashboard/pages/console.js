/** The SQL console: an editor that knows the views, a result as table and plot, the query in the address. */
import { get, reach } from "./api.js";
import { announce, h, replace, setText } from "./dom.js";
import { count, plural, span } from "./format.js";
import { plotCard } from "./plot_card.js";
import { plotOf } from "./result_plot.js";
import { csvOf, partsOf, suggest } from "./sql_words.js";
import { nowMs } from "./world.js";

export const title = "SQL";

const ROWS_SHOWN = 500;

export async function show(main, { params, signal, about, setLive, go }) {
  setLive(null);
  const [examples, schema] = await Promise.all([
    get("/api/examples", {}, signal),
    get("/api/schema", {}, signal),
  ]);
  if (signal.aborted) return;
  const editor = createEditor(schema, () => run(), () => cancel());
  const runButton = h("button", { class: "button strong", onclick: () => run() }, "Run");
  const cancelButton = h("button", { class: "button", hidden: true, onclick: () => cancel() }, "Cancel");
  const note = h("span", { class: "quiet small", role: "status" });
  const result = h("div", { class: "stack" });
  let running = null;

  const cancel = () => running?.abort();
  const run = async () => {
    const sql = editor.text();
    if (sql.trim() === "" || running !== null) return;
    go(`/sql?${new URLSearchParams({ q: sql })}`, { replaced: true, quiet: true });
    running = new AbortController();
    const stop = AbortSignal.any([running.signal, signal]);
    runButton.disabled = true;
    cancelButton.hidden = false;
    setText(note, "Running …");
    const startMs = nowMs();
    const outcome = await ask(sql, stop);
    running = null;
    runButton.disabled = false;
    cancelButton.hidden = true;
    if (signal.aborted) return;
    const took = span(nowMs() - startMs);
    setText(
      note,
      outcome.error === null ? `${plural(outcome.rows.length, "row")} in ${took}` : `Ended after ${took}`,
    );
    announce(outcome.error ?? `${plural(outcome.rows.length, "row")}`);
    drawResult(result, outcome, about, signal);
  };

  replace(
    main,
    h(
      "div",
      { class: "head" },
      h(
        "div",
        {},
        h("h1", { tabindex: -1 }, "SQL"),
        h(
          "p",
          { class: "quiet" },
          "On the published files: read only, a few seconds behind the log. Times are in UTC.",
        ),
      ),
    ),
    !about.hasSql &&
      h(
        "p",
        { class: "notice" },
        "The console can't start its processes on this system: use deno task sql in a terminal.",
      ),
    h(
      "div",
      { class: "console" },
      h(
        "div",
        { class: "stack aside" },
        h(
          "section",
          { class: "card", "aria-label": "Examples" },
          h("h2", {}, "Examples"),
          h(
            "ul",
            { class: "examples" },
            examples.map(({ title: heading, about: text, sql }) =>
              h(
                "li",
                {},
                h("button", {
                  title: text,
                  onclick: () => {
                    editor.set(sql);
                    run();
                  },
                }, heading),
              )
            ),
          ),
        ),
        viewsCard(schema, (name) => {
          editor.set(`FROM ${name}\nLIMIT 100`);
          run();
        }),
      ),
      h(
        "div",
        { class: "stack" },
        editor.element,
        h(
          "div",
          { class: "bar" },
          runButton,
          cancelButton,
          h("span", { class: "quiet small" }, "Ctrl + Enter runs"),
          note,
        ),
        result,
      ),
    ),
  );
  editor.set(params.get("q") ?? examples[0].sql);
  if (params.has("q") && about.hasSql) await run();
}

/** All that a query tells: columns, rows, why it was cut, or an error's sentence. */
async function ask(sql, signal) {
  const outcome = { columns: [], rows: [], cut: null, error: null };
  try {
    const response = await reach("/api/sql", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ sql }),
      signal,
    });
    if (!response.ok) throw new Error((await response.json()).detail);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) take(outcome, JSON.parse(line));
    }
  } catch (error) {
    outcome.error = error.name === "AbortError" ? "The query was cancelled." : error.message;
  }
  return outcome;
}

function take(outcome, event) {
  switch (event.kind) {
    case "columns":
      outcome.columns = event.columns;
      break;
    case "rows":
      outcome.rows.push(...event.rows);
      break;
    case "end":
      outcome.cut = event.cut;
      break;
    case "error":
      outcome.error = event.message;
      break;
  }
}

function drawResult(element, { columns, rows, cut, error }, about, signal) {
  if (error !== null) return replace(element, h("div", { class: "card wrong mono", role: "alert" }, error));
  const plot = plotOf(columns, rows);
  const shown = rows.slice(0, ROWS_SHOWN);
  const save = () => {
    const url = URL.createObjectURL(new Blob([csvOf(columns, rows)], { type: "text/csv" }));
    h("a", { href: url, download: "result.csv" }).click();
    URL.revokeObjectURL(url);
  };
  replace(
    element,
    cut !== null &&
      h(
        "p",
        { class: "notice" },
        cut === "rows"
          ? `Only the first ${count(about.sqlRowsMax)} rows: add LIMIT or WHERE.`
          : "The result was too large and was cut: ask for fewer rows or columns.",
      ),
    plotCard(plot, signal),
    h(
      "div",
      { class: "card results", tabindex: 0, role: "group", "aria-label": "Result" },
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            columns.map(({ name, type, isNumber }) =>
              h("th", { scope: "col", class: isNumber ? "number" : "", title: type }, name)
            ),
          ),
        ),
        h(
          "tbody",
          {},
          shown.map((row) =>
            h(
              "tr",
              {},
              row.map((value, index) =>
                h(
                  "td",
                  { class: columns[index].isNumber ? "number" : value === null ? "calm" : "" },
                  value === null ? "null" : String(value),
                )
              ),
            )
          ),
        ),
      ),
    ),
    h(
      "div",
      { class: "bar" },
      rows.length > 0 && h("button", { class: "button", onclick: save }, "Save as CSV"),
      rows.length > shown.length &&
        h(
          "span",
          { class: "quiet small" },
          `The first ${count(shown.length)} of ${count(rows.length)} rows are shown; the file has all.`,
        ),
    ),
  );
}

function viewsCard(schema, open) {
  return h(
    "section",
    { class: "card", "aria-label": "Views" },
    h("h2", {}, "Views and columns"),
    schema.length === 0 && h("p", { class: "quiet" }, "Nothing is published yet."),
    h(
      "ul",
      { class: "view-list" },
      schema.map(({ name, comment, columns }) =>
        h(
          "li",
          {},
          h(
            "details",
            {},
            h("summary", {}, name),
            h(
              "p",
              { class: "small quiet" },
              comment,
              " ",
              h("button", { class: "button plain small", onclick: () => open(name) }, "Show rows"),
            ),
            h(
              "ul",
              {},
              columns.map((column) =>
                h(
                  "li",
                  { class: "small", title: column.type },
                  h("code", {}, column.name),
                  " ",
                  h("span", { class: "quiet" }, column.comment),
                )
              ),
            ),
          ),
        )
      ),
    ),
  );
}

/** A text area over its own coloured copy; suggestions as a list that the arrow keys walk. */
function createEditor(schema, run, cancel) {
  const copy = h("pre", { "aria-hidden": "true" });
  const list = h("ul", {
    class: "suggestions",
    id: "suggestions",
    role: "listbox",
    "aria-label": "Suggestions",
    hidden: true,
  });
  const area = h("textarea", {
    "aria-label": "SQL query",
    "aria-autocomplete": "list",
    "aria-controls": "suggestions",
    spellcheck: "false",
    autocapitalize: "off",
    autocomplete: "off",
    autocorrect: "off",
  });
  const element = h("div", { class: "editor" }, copy, area, list);
  let found = null;
  let chosen = 0;

  const draw = () =>
    replace(
      copy,
      partsOf(area.value).map(([text, kind]) =>
        kind === "" ? text : h("span", { class: `sql-${kind}` }, text)
      ),
      "\n ",
    );
  const close = () => {
    found = null;
    list.hidden = true;
    area.removeAttribute("aria-activedescendant");
  };
  const mark = () => {
    [...list.children].forEach((item, index) => item.setAttribute("aria-selected", String(index === chosen)));
    area.setAttribute("aria-activedescendant", `suggestion-${chosen}`);
    list.children[chosen]?.scrollIntoView({ block: "nearest" });
  };
  const offer = () => {
    found = area.selectionStart === area.selectionEnd
      ? suggest(area.value, area.selectionStart, schema)
      : null;
    if (found === null) return close();
    chosen = 0;
    replace(
      list,
      found.items.map(({ text, about }, index) =>
        h(
          "li",
          {
            id: `suggestion-${index}`,
            role: "option",
            onpointerdown: (event) => {
              event.preventDefault();
              chosen = index;
              accept();
            },
          },
          h("code", {}, text),
          h("span", { class: "quiet" }, about),
        )
      ),
    );
    const lines = area.value.slice(0, area.selectionStart).split("\n");
    list.style.top = `${14 + lines.length * 21.7}px`;
    list.style.left = `${
      Math.min(16 + lines.at(-1).length * 8.4, Math.max(16, element.clientWidth - 300))
    }px`;
    list.hidden = false;
    mark();
  };
  const accept = () => {
    const { text } = found.items[chosen];
    area.setRangeText(text, found.from, area.selectionStart, "end");
    close();
    draw();
  };
  area.addEventListener("input", () => {
    draw();
    offer();
  });
  area.addEventListener("blur", close);
  area.addEventListener("click", close);
  area.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      close();
      return run();
    }
    if (found === null) return event.key === "Escape" ? cancel() : undefined;
    const act = {
      ArrowDown: () => chosen = (chosen + 1) % found.items.length,
      ArrowUp: () => chosen = (chosen + found.items.length - 1) % found.items.length,
      Tab: accept,
      Enter: accept,
      Escape: close,
    }[event.key];
    if (act === undefined) return;
    event.preventDefault();
    act();
    if (found !== null) mark();
  });
  return {
    element,
    text: () => area.value,
    set(text) {
      area.value = text;
      close();
      draw();
    },
  };
}
