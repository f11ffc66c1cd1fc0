// ---- the table of all trials, drawn a page at a time
const trials = data.trials, SHOWN = 15;
const titles = {suite: "suite", full_task: "task", full_backbone: "backbone", label: "variant", seed: "seed", status: "status", score: "score", normalized: "normalized", seconds: "took", converged: "converged", error: "reason"};
let page = 0;
// A column in which no trial says anything is left out; the suite is said by the task.
const telling = (name) => name !== "suite" && trials.columns[name].some((v) => trials.words[name] ? trials.words[name][v] : v !== null);
const columnsShown = Object.keys(titles).filter(telling);
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
  const table = $("trial-table"), rows = chosenTrials(), names = columnsShown;
  const pages = Math.max(1, Math.ceil(rows.length / SHOWN));
  page = Math.min(Math.max(page, 0), pages - 1);
  $("count").textContent = `${rows.length} of ${trials.columns.seed.length} trials, page ${page + 1} of ${pages}`;
  const focused = document.activeElement?.dataset?.sort;
  table.replaceChildren();
  const head = table.createTHead().insertRow();
  for (const name of names) {
    const cell = head.appendChild(document.createElement("th")), button = cell.appendChild(document.createElement("button"));
    cell.setAttribute("aria-sort", state.sort === name ? "ascending" : state.sort === "-" + name ? "descending" : "none");
    if (trials.words[name]) cell.className = "text";
    button.type = "button"; button.textContent = titles[name]; button.dataset.sort = name;
    button.addEventListener("click", () => { state.sort = state.sort === name ? "-" + name : name; page = 0; showTrials(); });
    if (name === focused) requestAnimationFrame(() => button.focus());
  }
  const body = table.createTBody();
  for (const i of rows.slice(page * SHOWN, (page + 1) * SHOWN)) {
    const row = body.insertRow();
    row.dataset.trial = i;
    row.tabIndex = 0;
    for (const name of names) {
      const cell = row.insertCell(), value = cellOf(name, i);
      cell.textContent = name === "converged" ? (value === null ? "" : value ? "yes" : "no") : name === "seconds" ? seconds(value) : typeof value === "string" ? value : number(value);
      if (name === "error") cell.className = "wrap"; else if (trials.words[name]) cell.className = "text";
    }
  }
}
