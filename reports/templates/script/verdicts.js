// ---- verdicts against the chosen baseline
let family = [];
function verdicts() {
  const comparisons = [];
  for (const [contest, merits] of Object.entries(data.merits)) {
    const theirs = merits[state.baseline];
    if (!theirs) continue;
    for (const variant of data.variants) {
      const ours = merits[variant];
      if (!ours || variant === state.baseline) continue;
      const seeds = Object.keys(ours).filter((seed) => seed in theirs);
      comparisons.push({contest, variant, seeds, differences: seeds.map((seed) => ours[seed] - theirs[seed]), margin: data.contests[contest].margin});
    }
  }
  judge(comparisons);
  for (const f of comparisons) takeUp(f, data.judged?.[state.baseline]?.[f.contest]?.[f.variant]);
  return comparisons;
}
// Several looks are paid for where the page was written: here those verdicts are shown.
function takeUp(f, known) {
  if (!data.judged) return;
  if (!known) { f.verdict = "open"; f.note = "? open"; f.why = "its looks were not judged against this baseline"; return; }
  Object.assign(f, known, {half: (known.high - known.low) / 2, differences: f.differences.slice(0, known.pairs)});
}
const halfWidth = (f) => f.half ?? quantileT(0.975, f.pairs - 1) * f.raw / Math.sqrt(f.pairs);
const detectable = (f) => (quantileT(1 - f.level / 2, f.pairs - 1) + quantileT(0.8, f.pairs - 1)) * f.deviation / Math.sqrt(f.pairs);
function noteOf(f) {
  if (f.note !== undefined) return f.note;
  if (f.pairs < 2) return "";
  if (f.verdict !== "open") return GLYPH[f.verdict] + f.verdict;
  const half = halfWidth(f), lean = f.mean - half > 0 ? "△ " : f.mean + half < 0 ? "▽ " : "? ";
  return lean + "open";
}
function detailOf(contest, variant, f) {
  const [score, low, high, seeds, failed] = data.board[contest]?.[variant] ?? [];
  const about = `${data.contests[contest].metric} ${number(score)} ${interval(low, high)} over ${plural(seeds, "seed")}` + (failed ? `, ${failed} failed` : "");
  if (variant === state.baseline) return about;
  if (!f) return `${about}; the baseline ended no trial of this contest well`;
  if (f.why) return `${about}; ${f.why}`;
  if (f.pairs < 2) return `${about}; one pair of seeds gives no verdict`;
  const half = halfWidth(f), difference = `difference ${signed(f.mean)} ${interval(f.mean - half, f.mean + half)} from ${f.pairs} pairs`;
  const few = f.pairs < FEWEST_PAIRS ? `, and fewer than ${FEWEST_PAIRS} pairs decide nothing` : "";
  return `${about}; ${difference}: ${f.verdict}` + (f.verdict === "open" ? `; these seeds could only detect a change of ${number(detectable(f))} or more${few}` : "");
}
function showVerdicts() {
  family = verdicts();
  const known = new Map(family.map((f) => [f.contest + "\n" + f.variant, f]));
  for (const mark of all(".against")) mark.textContent = state.baseline;
  if ($("family")) $("family").textContent = family.length;
  for (const cell of all(".matrix tr[data-contest] td[data-column]")) {
    if (cell.classList.contains("failed") || cell.classList.contains("absent")) continue;
    const contest = cell.parentElement.dataset.contest, variant = cell.dataset.column, f = known.get(contest + "\n" + variant);
    const kind = variant === state.baseline ? "baseline" : f && f.pairs > 1 ? f.verdict : "none";
    cell.classList.remove("better", "worse", "tied", "open", "none", "baseline");
    cell.classList.add(kind);
    cell.title = detailOf(contest, variant, f);
    cell.querySelector("small").textContent = kind === "baseline" ? "baseline" : f ? noteOf(f) : "";
  }
  const against = data.improvements[state.baseline];
  for (const cell of all("[data-improvement]")) {
    const chance = against?.[cell.dataset.improvement];
    cell.textContent = chance ? number(chance[0], 2) + " " : "–";
    cell.dataset.value = chance?.[0] ?? "";
    if (chance) cell.append(element("small", {textContent: interval(chance[1], chance[2], 2)}));
  }
}

// ---- filters
const visible = (contest) => {
  const facts = data.contests[contest];
  return !facts || ((!state.suite || facts.suite === state.suite) && (!state.task || facts.task === state.task) && (!state.budget || String(facts.steps) === state.budget));
};
function filter() {
  for (const part of all("[data-contest]")) part.hidden = !visible(part.dataset.contest);
  for (const row of all("tr.suite")) row.hidden = !Object.entries(data.contests).some(([n, c]) => c.suite === row.dataset.suite && visible(n));
  for (const part of all("[data-column]")) part.hidden = state.hidden.has(part.dataset.column);
  for (const row of all("tr[data-variant]")) row.hidden = state.hidden.has(row.dataset.variant);
  for (const mark of all("svg [data-variant]")) mark.style.display = state.hidden.has(mark.dataset.variant) ? "none" : "";
  page = 0;
  showTrials();
  showPlots();
}
function highlight() {
  for (const button of all("[data-pick]")) button.setAttribute("aria-pressed", state.picked.has(button.dataset.pick));
  for (const row of all("tr[data-variant]")) row.classList.toggle("selected", state.picked.has(row.dataset.variant));
  for (const mark of all("svg [data-variant]")) mark.classList.toggle("lit", state.picked.has(mark.dataset.variant));
  for (const svg of all("figure > svg")) svg.classList.toggle("dim", state.picked.size > 0);
  highlightPlots();
}
function pick(variant) {
  state.picked.has(variant) ? state.picked.delete(variant) : state.picked.add(variant);
  highlight();
}
