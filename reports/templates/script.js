"use strict";
(() => {
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const LEVEL = 0.05, MOST_SEEDS = 200, FEWEST_PAIRS = 5, GLYPH = {better: "▲ ", worse: "▼ ", tied: "= "};

// ---- statistics: the same rules as harness/compare.py, so that another baseline can be chosen here
function logGamma(x) {
  const c = [76.18009172947146, -86.50532032941677, 24.01409824083091, -1.231739572450155, 1.208650973866179e-3, -5.395239384953e-6];
  let y = x, sum = 1.000000000190015;
  for (const k of c) sum += k / ++y;
  return -(x + 5.5 - (x + 0.5) * Math.log(x + 5.5)) + Math.log(2.5066282746310005 * sum / x);
}
function betaFraction(a, b, x) {
  let c = 1, d = 1 - (a + b) * x / (a + 1);
  d = 1 / (Math.abs(d) < 1e-300 ? 1e-300 : d);
  let h = d;
  for (let m = 1; m < 500; m++) {
    for (const t of [m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))]) {
      d = 1 + t * d; c = 1 + t / c;
      d = 1 / (Math.abs(d) < 1e-300 ? 1e-300 : d);
      if (Math.abs(c) < 1e-300) c = 1e-300;
      h *= d * c;
    }
    if (Math.abs(d * c - 1) < 1e-14) break;
  }
  return h;
}
function incompleteBeta(a, b, x) {
  if (x <= 0 || x >= 1) return x <= 0 ? 0 : 1;
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(1 - x));
  return x < (a + 1) / (a + b + 2) ? front * betaFraction(a, b, x) / a : 1 - front * betaFraction(b, a, 1 - x) / b;
}
function upperT(t, df) {
  const tail = 0.5 * incompleteBeta(df / 2, 0.5, df / (df + t * t));
  return t >= 0 ? tail : 1 - tail;
}
function quantileT(p, df) {
  let low = 0, high = 1;
  while (upperT(high, df) > 1 - p) high *= 2;
  for (let i = 0; i < 80; i++) { const middle = (low + high) / 2; upperT(middle, df) > 1 - p ? low = middle : high = middle; }
  return high;
}
function holm(p) {
  const order = p.map((_, i) => i).sort((a, b) => p[a] - p[b] || a - b), adjusted = [], rank = [];
  let largest = 0;
  order.forEach((i, k) => { largest = Math.max(largest, p[i] * (p.length - k)); adjusted[i] = Math.min(largest, 1); rank[i] = k; });
  return [adjusted, rank];
}
function judge(family) {
  for (const f of family) {
    const d = f.differences, n = f.pairs = d.length;
    f.mean = d.reduce((a, b) => a + b, 0) / n; f.p = f.alike = 1;
    if (n < 2) continue;
    f.raw = Math.sqrt(d.reduce((a, b) => a + (b - f.mean) ** 2, 0) / (n - 1));
    f.deviation = Math.max(f.raw, f.margin / 4);
    const error = f.deviation / Math.sqrt(n);
    f.p = 2 * upperT(Math.abs(f.mean) / error, n - 1);
    f.alike = upperT((f.margin - Math.abs(f.mean)) / error, n - 1);
  }
  const [p, rank] = holm(family.map((f) => f.p)), [alike] = holm(family.map((f) => f.alike));
  family.forEach((f, i) => {
    if (f.pairs < 2) { f.verdict = "open"; return; }
    f.level = LEVEL / (family.length - rank[i]);
    f.verdict = alike[i] < LEVEL ? "tied" : p[i] < LEVEL ? (f.mean > 0 ? "better" : "worse") : "open";
    f.withheld = f.pairs < FEWEST_PAIRS && f.verdict !== "open";
    if (f.withheld) f.verdict = "open";
  });
}
function moreSeeds(f) {
  const missing = Math.max(0, FEWEST_PAIRS - f.pairs);
  if (f.withheld) return missing;
  for (let n = f.pairs + 1; n <= MOST_SEEDS; n++) {
    const error = f.deviation / Math.sqrt(n);
    if (2 * upperT(Math.abs(f.mean) / error, n - 1) < f.level || upperT((f.margin - Math.abs(f.mean)) / error, n - 1) < f.level) return Math.max(n - f.pairs, missing);
  }
  return null;
}

// ---- numbers as people read them
function number(value, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (value === 0) return "0";
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return value.toLocaleString("en-US");
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e7) return value.toExponential(digits - 1).replace("e+", "e");
  return value.toFixed(Math.max(0, digits - 1 - Math.floor(Math.log10(size))));
}
const signed = (value) => (value > 0 ? "+" : "") + number(value);
const interval = (low, high, digits) => low === null || low === undefined ? "" : `[${number(low, digits)}, ${number(high, digits)}]`;

// ---- state: what the controls say is what the address says
const state = {baseline: data.baseline, suite: "", task: "", budget: "", hidden: new Set(), picked: new Set(), sort: "", find: "", contest: "", limits: ""};
const DEFAULTS = {baseline: data.baseline};
const fields = ["baseline", "suite", "task", "budget", "sort", "find", "contest", "limits"];
function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const name of fields) if (given.has(name)) state[name] = given.get(name);
  if (!data.variants.includes(state.baseline)) state.baseline = data.baseline;
  for (const name of ["hidden", "picked"]) state[name] = new Set(given.getAll(name).filter((v) => data.variants.includes(v)));
}
function address() {
  const out = new URLSearchParams();
  for (const name of fields) if (state[name] && state[name] !== DEFAULTS[name]) out.set(name, state[name]);
  for (const name of ["hidden", "picked"]) state[name].forEach((v) => out.append(name, v));
  out.set("theme", document.documentElement.dataset.theme);
  return "#" + out;
}

// ---- verdicts against the chosen baseline
function verdicts() {
  const family = [];
  for (const [contest, merits] of Object.entries(data.merits)) {
    const theirs = merits[state.baseline];
    if (!theirs) continue;
    for (const variant of data.variants) {
      const ours = merits[variant];
      if (!ours || variant === state.baseline) continue;
      const differences = Object.keys(ours).filter((seed) => seed in theirs).map((seed) => ours[seed] - theirs[seed]);
      family.push({contest, variant, differences, margin: data.contests[contest].margin});
    }
  }
  judge(family);
  return family;
}
function showVerdicts() {
  const family = verdicts();
  const found = new Map(family.map((f) => [f.contest + "\n" + f.variant, f]));
  $("against").textContent = state.baseline;
  if ($("family")) $("family").textContent = family.length;
  for (const row of all(".matrix tr[data-contest]")) {
    const contest = row.dataset.contest, facts = data.contests[contest];
    for (const cell of all("td[data-column]", row)) {
      if (cell.classList.contains("failed") || cell.classList.contains("absent")) continue;
      const variant = cell.dataset.column, f = found.get(contest + "\n" + variant), note = cell.querySelector("small");
      const [score, low, high, seeds, failed] = data.board[contest]?.[variant] ?? [];
      let told = `${facts.metric} ${number(score)} ${interval(low, high)} over ${seeds} seed${seeds === 1 ? "" : "s"}` + (failed ? `, ${failed} failed` : "");
      let kind = "none", text = "";
      if (variant === state.baseline) { kind = "baseline"; text = "baseline"; }
      else if (!f) told += "; the baseline is not in this contest";
      else if (f.pairs < 2) told += "; one pair: no verdict";
      else {
        kind = f.verdict;
        const half = quantileT(0.975, f.pairs - 1) * f.raw / Math.sqrt(f.pairs), more = kind === "open" ? moreSeeds(f) : 0;
        const detectable = (quantileT(1 - f.level / 2, f.pairs - 1) + quantileT(0.8, f.pairs - 1)) * f.deviation / Math.sqrt(f.pairs);
        told += `; difference ${signed(f.mean)} ${interval(f.mean - half, f.mean + half)} from ${f.pairs} pairs: ${kind}` + (kind === "open" ? `; smallest detectable effect ${number(detectable)}` : "");
        const lean = f.mean - half > 0 ? "△ " : f.mean + half < 0 ? "▽ " : "? ";
        text = kind === "open" ? lean + (more === null ? "> 200 more" : `${more} more`) : GLYPH[kind] + kind;
      }
      cell.classList.remove("better", "worse", "tied", "open", "none", "baseline");
      cell.classList.add(kind);
      cell.title = told;
      note.textContent = text;
    }
  }
  const against = data.improvements[state.baseline];
  for (const cell of all("[data-improvement]")) {
    const told = against?.[cell.dataset.improvement];
    cell.textContent = told ? number(told[0], 2) + " " : "–";
    cell.dataset.value = told?.[0] ?? "";
    if (told) cell.appendChild(Object.assign(document.createElement("small"), {textContent: interval(told[1], told[2], 2)}));
  }
}

// ---- filters
const visible = (contest) => {
  const facts = data.contests[contest];
  return !facts || ((!state.suite || facts.suite === state.suite) && (!state.task || facts.task === state.task) && (!state.budget || String(facts.steps) === state.budget));
};
function filter() {
  for (const element of all("[data-contest]")) element.hidden = !visible(element.dataset.contest);
  for (const row of all("tr.suite")) row.hidden = !Object.values(data.contests).some((c) => c.suite === row.dataset.suite && (!state.suite || c.suite === state.suite) && (!state.task || c.task === state.task) && (!state.budget || String(c.steps) === state.budget));
  for (const element of all("[data-column]")) element.hidden = state.hidden.has(element.dataset.column);
  for (const row of all("tr[data-variant]")) row.hidden = state.hidden.has(row.dataset.variant);
  for (const mark of all("svg [data-variant]")) mark.style.display = state.hidden.has(mark.dataset.variant) ? "none" : "";
  page = 0;
  showTrials();
}
function highlight() {
  for (const button of all("[data-pick]")) button.setAttribute("aria-pressed", state.picked.has(button.dataset.pick));
  for (const row of all("tr[data-variant]")) row.classList.toggle("selected", state.picked.has(row.dataset.variant));
  for (const mark of all("svg [data-variant]")) mark.classList.toggle("lit", state.picked.has(mark.dataset.variant));
  for (const svg of all("figure > svg")) svg.classList.toggle("dim", state.picked.size > 0);
}
function pick(variant) {
  state.picked.has(variant) ? state.picked.delete(variant) : state.picked.add(variant);
  highlight();
}

// ---- tables that sort
function sortTable(table, column, direction) {
  const body = table.tBodies[0], value = (row) => row.cells[column]?.dataset.value ?? row.cells[column]?.textContent.trim() ?? "";
  const rows = [...body.rows].map((row) => [row, value(row)]);
  const blank = (v) => v === "" || v === "nan" || v === "–" || v === "<NA>";
  const order = ([, a], [, b]) => {
    if (blank(a) || blank(b)) return blank(a) - blank(b);
    const x = Number(a.replace("inf", "Infinity")), y = Number(b.replace("inf", "Infinity"));
    return direction * (Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, "en", {numeric: true}) : x - y);
  };
  rows.sort(order).forEach(([row]) => body.appendChild(row));
  [...table.tHead.rows[0].cells].forEach((cell, i) => cell.hasAttribute("aria-sort") && cell.setAttribute("aria-sort", i !== column ? "none" : direction > 0 ? "ascending" : "descending"));
}
function prepareTables() {
  all("table[data-sortable]").forEach((table) => all("thead th[aria-sort] button", table).forEach((button) => button.addEventListener("click", () => {
    const cell = button.parentElement;
    sortTable(table, cell.cellIndex, cell.getAttribute("aria-sort") === "ascending" ? -1 : 1);
  })));
}

// ---- the best within limits: reports/data/choice.py does the same
const LIMITS = {  // name -> title, unit, factor from the stored unit, place in a row of the board, read as
  latency: ["forward pass", "ms", 1e3, 7], step: ["training step", "ms", 1e3, 8], memory: ["peak memory", "MiB", 2 ** -20, 9],
  parameters: ["parameters", "", 1, 5], flops: ["FLOPs per batch", "M", 1e-6, 6],
};
const STANDING = {better: "behind", tied: "tied", worse: "ahead", open: "not clear"};
const limits = () => Object.fromEntries(state.limits.split(",").map((part) => part.split(":")).filter(([name, value]) => name in LIMITS && value !== "" && Number.isFinite(Number(value))));
function choose(contest, limit) {
  const fits = (row) => Object.entries(limit).every(([name, most]) => row[LIMITS[name][3]] !== null && row[LIMITS[name][3]] * LIMITS[name][2] <= Number(most));
  const mean = (variant) => { const merits = Object.values(data.merits[contest]?.[variant] ?? {}); return merits.reduce((a, b) => a + b, 0) / merits.length; };
  const rows = Object.entries(data.board[contest] ?? {}).filter(([, row]) => row[3] > 0).map(([variant, row]) => ({variant, row, mean: mean(variant), fits: fits(row)}));
  rows.sort((a, b) => b.fits - a.fits || b.mean - a.mean || data.variants.indexOf(a.variant) - data.variants.indexOf(b.variant));
  const [best, ...others] = rows.filter((r) => r.fits), merits = data.merits[contest];
  if (best) {
    const family = others.map((other) => ({differences: Object.keys(merits[best.variant]).filter((seed) => seed in merits[other.variant]).map((seed) => merits[best.variant][seed] - merits[other.variant][seed]), margin: data.contests[contest].margin}));
    judge(family);
    best.standing = "best";
    others.forEach((other, i) => { other.standing = STANDING[family[i].verdict]; });
  }
  return rows;
}
function showChoice() {
  const limit = limits(), rows = choose(state.contest, limit), facts = data.contests[state.contest], table = $("choices");
  const [best, next] = rows.filter((r) => r.fits), said = $("choice");
  const within = Object.entries(limit).map(([name, most]) => `${LIMITS[name][0]} ≤ ${number(Number(most))} ${LIMITS[name][1]}`.trim()).join(", ") || "any cost";
  said.replaceChildren();
  if (!best) said.append(`Nothing fits ${within}.`);
  else {
    const sure = !next ? "; nothing else fits" : next.standing === "behind" ? `, clear of the next, ${next.variant}` : next.standing === "tied" ? `, tied with ${next.variant}` : next.standing === "one seed" ? `; one seed does not tell it from ${next.variant}` : `, not clear of the next, ${next.variant}`;
    said.append(`Within ${within}: `, Object.assign(document.createElement("b"), {textContent: best.variant}), `, ${facts.metric} ${number(best.row[0])} ${interval(best.row[1], best.row[2])}${sure}.`);
  }
  table.replaceChildren();
  const head = table.createTHead().insertRow();
  for (const title of ["variant", facts.metric, "95 %", "seeds", "standing", "forward [ms]", "step [ms]", "memory [MiB]", "parameters", "FLOPs [M]"]) head.appendChild(Object.assign(document.createElement("th"), {textContent: title}));
  const body = table.createTBody();
  for (const {variant, row, standing, fits} of rows) {
    const line = body.insertRow();
    line.dataset.variant = variant;
    if (!fits) line.className = "over";
    for (const text of [variant, number(row[0]), interval(row[1], row[2]), row[3] + (row[4] ? `, ${row[4]} failed` : "") + (row[10] !== null && row[10] < 1 ? ", still falling" : ""), standing ?? "over the limit"]) line.insertCell().textContent = text;
    for (const [name, [, , factor, place]] of Object.entries(LIMITS)) {
      const cell = line.insertCell();
      cell.textContent = row[place] === null ? "–" : number(row[place] * factor);
      if (name in limit && !(row[place] !== null && row[place] * factor <= Number(limit[name]))) cell.className = "over";
    }
  }
}
function prepareChoice() {
  const usable = Object.keys(data.contests).filter((contest) => Object.values(data.board[contest] ?? {}).some((row) => row[3] > 0));
  if (!$("choose") || !usable.length) return;
  $("choose").hidden = false;
  for (const contest of usable) { const c = data.contests[contest]; $("chosen").add(new Option(`${c.task}, ${c.backbone}, ${c.steps} steps`, contest)); }
  if (!usable.includes(state.contest)) state.contest = usable[0];
  DEFAULTS.contest = usable[0];
  $("chosen").value = state.contest;
  const given = limits(), range = (name) => {
    const [, , factor, place] = LIMITS[name], known = Object.values(data.board[state.contest]).map((row) => row[place]).filter((v) => v !== null).map((v) => v * factor);
    return known.length ? `${number(Math.min(...known))} to ${number(Math.max(...known))}` : "not measured";
  };
  for (const [name, [title, unit]] of Object.entries(LIMITS)) {
    const label = $("limits").appendChild(document.createElement("label")), box = document.createElement("input");
    box.type = "number"; box.min = 0; box.step = "any"; box.id = `limit-${name}`; box.value = given[name] ?? ""; box.placeholder = range(name);
    label.append(`${title} ≤ `, box, unit ? ` ${unit} ` : " ");
    for (const event of ["input", "change"]) box.addEventListener(event, () => {
      state.limits = Object.keys(LIMITS).map((n) => [n, $(`limit-${n}`).value]).filter(([, v]) => v !== "").map((pair) => pair.join(":")).join(",");
      showChoice();
    });
  }
  $("chosen").addEventListener("change", () => {
    state.contest = $("chosen").value;
    for (const name of Object.keys(LIMITS)) $(`limit-${name}`).placeholder = range(name);
    showChoice();
  });
  showChoice();
}

// ---- the table of all trials, drawn a page at a time
const trials = data.trials, SHOWN = 50;
const titles = {suite: "suite", full_task: "task", full_backbone: "backbone", label: "variant", seed: "seed", status: "status", score: "score", normalized: "normalized", seconds: "seconds", converged: "converged", error: "reason"};
let page = 0;
const cellOf = (name, i) => { const v = trials.columns[name][i]; return trials.words[name] ? trials.words[name][v] : v; };
function chosenTrials() {
  const find = state.find.toLowerCase(), rows = [], columns = trials.columns;
  const matching = Object.fromEntries(Object.entries(trials.words).map(([name, words]) => [name, words.map((w) => w.toLowerCase().includes(find))]));
  for (let i = 0; i < columns.seed.length; i++) {
    const contest = columns.contest[i];
    if (contest !== null ? !visible(contest) : (state.suite && cellOf("suite", i) !== state.suite) || (state.task && cellOf("full_task", i) !== state.task)) continue;
    if (state.hidden.has(cellOf("label", i))) continue;
    if (find && !Object.keys(matching).some((name) => matching[name][columns[name][i]])) continue;
    rows.push(i);
  }
  if (state.sort) {
    const name = state.sort.replace("-", ""), sign = state.sort.startsWith("-") ? -1 : 1;
    if (name in titles) rows.sort((a, b) => { const x = cellOf(name, a), y = cellOf(name, b); return (x === null) - (y === null) || sign * (typeof x === "string" ? x.localeCompare(y) : x - y) || a - b; });
  }
  return rows;
}
function showTrials() {
  const table = $("trial-table"), rows = chosenTrials(), names = Object.keys(titles);
  const pages = Math.max(1, Math.ceil(rows.length / SHOWN));
  page = Math.min(Math.max(page, 0), pages - 1);
  $("count").textContent = `${rows.length} of ${trials.columns.seed.length} trials, page ${page + 1} of ${pages}`;
  const focused = document.activeElement?.dataset?.sort;
  table.replaceChildren();
  const head = table.createTHead().insertRow();
  for (const name of names) {
    const cell = head.appendChild(document.createElement("th")), button = cell.appendChild(document.createElement("button"));
    cell.setAttribute("aria-sort", state.sort === name ? "ascending" : state.sort === "-" + name ? "descending" : "none");
    button.type = "button"; button.textContent = titles[name]; button.dataset.sort = name;
    button.addEventListener("click", () => { state.sort = state.sort === name ? "-" + name : name; page = 0; showTrials(); });
    if (name === focused) requestAnimationFrame(() => button.focus());
  }
  const body = table.createTBody();
  for (const i of rows.slice(page * SHOWN, (page + 1) * SHOWN)) {
    const row = body.insertRow();
    if (data.variants.includes(cellOf("label", i))) row.dataset.variant = cellOf("label", i);
    for (const name of names) {
      const cell = row.insertCell(), value = cellOf(name, i);
      cell.textContent = name === "converged" ? (value === null ? "" : value ? "yes" : "no") : typeof value === "string" ? value : number(value);
      if (name === "error") cell.className = "wrap"; else if (trials.words[name]) cell.className = "text";
    }
  }
}

// ---- hover: what a mark stands for
const NAMES = ["parameters", "FLOPs", "forward [s]", "step [s]", "memory [bytes]"];
function tell(event) {
  const mark = event.target.closest?.("svg [data-variant], .matrix td[title], .matrix td[data-told]"), tip = $("tip");
  if (!mark) { tip.style.display = "none"; return; }
  let told = mark.dataset.told;
  if (mark.tagName === "TD") {
    if (mark.title) { told = mark.dataset.told = `${mark.dataset.column}: ${mark.title}`; mark.removeAttribute("title"); }
  } else {
    const variant = mark.dataset.variant, contest = mark.closest("[data-contest]")?.dataset.contest;
    const row = data.board[contest]?.[variant];
    told = variant;
    if (row) told += `: ${data.contests[contest].metric} ${number(row[0])} ${interval(row[1], row[2])}, ${row[3]} seeds; ` + NAMES.map((n, i) => row[5 + i] === null ? "" : `${n} ${number(row[5 + i])}`).filter(Boolean).join(", ");
  }
  tip.textContent = told;
  tip.style.display = "block";
  const box = tip.getBoundingClientRect();
  tip.style.left = Math.max(4, Math.min(event.clientX + 12, innerWidth - box.width - 8)) + "px";
  tip.style.top = Math.max(4, event.clientY + 16 + box.height > innerHeight ? event.clientY - box.height - 10 : event.clientY + 16) + "px";
}

// ---- controls
function fill(id, values) {
  for (const value of [...new Set(values)].sort((a, b) => a.localeCompare(b, "en", {numeric: true}))) $(id).add(new Option(id === "budget" ? `${value} steps` : value.replaceAll("_", " "), value));
}
function prepareControls() {
  const facts = Object.values(data.contests);
  fill("suite", facts.map((c) => c.suite)); fill("task", facts.map((c) => c.task)); fill("budget", facts.map((c) => String(c.steps)));
  for (const name of ["baseline", "suite", "task", "budget"]) {
    $(name).value = state[name];
    if ($(name).selectedIndex < 0) { $(name).selectedIndex = 0; state[name] = $(name).value; }
    $(name).addEventListener("change", () => { state[name] = $(name).value; name === "baseline" ? showVerdicts() : filter(); });
  }
  for (const variant of data.variants) {
    const label = $("shown").appendChild(document.createElement("label")), box = label.appendChild(document.createElement("input"));
    box.type = "checkbox"; box.checked = !state.hidden.has(variant); box.dataset.show = variant;
    label.append(" " + variant);
    box.addEventListener("change", () => { box.checked ? state.hidden.delete(variant) : state.hidden.add(variant); filter(); });
  }
  $("search").value = state.find;
  $("search").addEventListener("input", () => { state.find = $("search").value; page = 0; showTrials(); });
  $("earlier").addEventListener("click", () => { page--; showTrials(); });
  $("later").addEventListener("click", () => { page++; showTrials(); });
  $("link").addEventListener("click", () => {
    history.replaceState(null, "", address());
    navigator.clipboard?.writeText(location.href).catch(() => {});
    $("link").textContent = "Link is in the address bar";
    setTimeout(() => { $("link").textContent = "Link to this view"; }, 2000);
  });
  $("theme").addEventListener("click", () => { const root = document.documentElement; root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark"; });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-pick]"), mark = event.target.closest("tr[data-variant], svg [data-variant]");
    if (button) pick(button.dataset.pick);
    else if (mark && !event.target.closest("a, button")) pick(mark.dataset.variant);
    if (!event.target.closest("details.menu")) all("details.menu[open]").forEach((menu) => { menu.open = false; });
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { state.picked.clear(); highlight(); all("details.menu[open]").forEach((menu) => { menu.open = false; }); $("tip").style.display = "none"; }
    if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) { event.preventDefault(); $("search").focus(); }
  });
  document.addEventListener("pointermove", tell);
  document.addEventListener("pointerleave", () => { $("tip").style.display = "none"; });
  addEventListener("beforeprint", () => all("details.contest").forEach((d) => { d.open = true; }));
  addEventListener("hashchange", open);
}
function open() {
  const target = location.hash.startsWith("#contest-") && $(location.hash.slice(1));
  if (target) { target.open = true; target.scrollIntoView(); }
}

readAddress();
prepareControls();
prepareTables();
prepareChoice();
if (state.baseline !== data.baseline) showVerdicts();
filter();
highlight();
open();
document.documentElement.dataset.ready = "yes";
})();
