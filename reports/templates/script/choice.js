// ---- the best within limits: reports/data/choice.py does the same
const LIMITS = {  // name -> title, unit, factor from the stored unit, place in a row of the board, read as
  latency: ["forward pass", "ms", 1e3, 7], step: ["training step", "ms", 1e3, 8], memory: ["peak memory", "MiB", 2 ** -20, 9],
  parameters: ["parameters", "", 1, 5], flops: ["FLOPs per batch", "M", 1e-6, 6],
};
const STANDING = {better: "behind", tied: "tied", worse: "ahead", open: "not clear"};
const BEFORE = {worse: "behind", tied: "tied", better: "ahead", open: "not clear"};  // a verdict on the other against the best
const limits = () => Object.fromEntries(state.limits.split(",").map((part) => part.split(":")).filter(([name, value]) => name in LIMITS && value !== "" && Number.isFinite(Number(value))));
function choose(contest, limit) {
  const fits = (row) => Object.entries(limit).every(([name, most]) => row[LIMITS[name][3]] !== null && row[LIMITS[name][3]] * LIMITS[name][2] <= Number(most));
  const mean = (variant) => { const merits = Object.values(data.merits[contest]?.[variant] ?? {}); return merits.reduce((a, b) => a + b, 0) / merits.length; };
  const rows = Object.entries(data.board[contest] ?? {}).filter(([, row]) => row[3] > 0).map(([variant, row]) => ({variant, row, mean: mean(variant), fits: fits(row)}));
  rows.sort((a, b) => b.fits - a.fits || b.mean - a.mean || data.variants.indexOf(a.variant) - data.variants.indexOf(b.variant));
  const [best, ...others] = rows.filter((r) => r.fits), merits = data.merits[contest];
  if (best) {
    const compared = others.map((other) => ({differences: Object.keys(merits[best.variant]).filter((seed) => seed in merits[other.variant]).map((seed) => merits[best.variant][seed] - merits[other.variant][seed]), margin: data.contests[contest].margin}));
    judge(compared);
    best.standing = "best";
    others.forEach((other, i) => {
      const paid = data.judged?.[best.variant]?.[contest]?.[other.variant]?.verdict;
      other.standing = data.judged ? BEFORE[paid ?? "open"] : compared[i].pairs < 2 ? "one seed" : STANDING[compared[i].verdict];
    });
  }
  return rows;
}
function showChoice() {
  const limit = limits(), rows = choose(state.contest, limit), facts = data.contests[state.contest], table = $("choices");
  const [best, next] = rows.filter((r) => r.fits), sentence = $("choice");
  const within = Object.entries(limit).map(([name, most]) => `${LIMITS[name][0]} ≤ ${number(Number(most))} ${LIMITS[name][1]}`.trim()).join(", ") || "any cost";
  sentence.replaceChildren();
  if (!best) sentence.append(`Nothing fits ${within}.`);
  else {
    const sure = !next ? "; nothing else fits" : next.standing === "behind" ? `, clear of the next, ${next.variant}` : next.standing === "tied" ? `, tied with ${next.variant}` : next.standing === "one seed" ? `; one seed does not tell it from ${next.variant}` : `, not clear of the next, ${next.variant}`;
    sentence.append(`Within ${within}: `, Object.assign(document.createElement("b"), {textContent: best.variant}), `, ${facts.metric} ${number(best.row[0])} ${interval(best.row[1], best.row[2])}${sure}.`);
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
