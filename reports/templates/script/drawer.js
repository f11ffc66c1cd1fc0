// ---- the drawer: what stands behind one verdict, or one trial
function openDrawer(title, ...parts) {
  $("drawer-title").textContent = title;
  $("drawer-body").replaceChildren(...parts.filter(Boolean));
  if (!$("drawer").open) $("drawer").showModal();
}
function facts(pairs) {
  const list = element("dl");
  for (const [name, value] of pairs) if (value !== null && value !== undefined && value !== "") list.append(element("dt", {textContent: name}), element("dd", {}, value));
  return list;
}
function commandBlock(extra, note) {
  const text = `${data.command} ${extra}`;
  const button = element("button", {type: "button", textContent: "Copy"});
  button.addEventListener("click", () => copyText(text, button));
  return element("div", {className: "command"}, element("p", {textContent: note}), element("code", {textContent: text}), button);
}
const quoted = (text) => /^[\w.,=/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
const baseName = (selector) => selector.split("[")[0];

const MEANING = {
  better: "Better: the mean difference is above 0 and not within the margin.", worse: "Worse: the mean difference is below 0 and not within the margin.",
  tied: "Tied: the mean difference lies within the margin, in either direction.", open: "Open: neither a difference nor a tie is shown.",
};
function differencesDrawn(f) {
  const half = halfWidth(f), values = [...f.differences, 0, f.margin, -f.margin, f.mean - half, f.mean + half].filter(Number.isFinite);
  const low = Math.min(...values), high = Math.max(...values), width = 420, x = (v) => 14 + (v - low) / (high - low || 1) * (width - 28), rows = f.seeds.length;
  const svg = drawing("svg", {viewBox: `0 0 ${width} ${rows * 16 + 58}`, role: "img", class: "pairs", "aria-label": `${rows} paired differences`});
  const bottom = rows * 16 + 30;
  svg.append(drawing("rect", {class: "margin", x: x(-f.margin), y: 4, width: Math.max(1, x(f.margin) - x(-f.margin)), height: bottom - 4}));
  svg.append(drawing("line", {class: "zero", x1: x(0), x2: x(0), y1: 4, y2: bottom}));
  f.differences.forEach((d, i) => {
    const dot = drawing("circle", {cx: x(d), cy: 14 + 16 * i, r: 4.5, style: `fill:${shade(f.variant)}`}), label = drawing("title");
    label.textContent = `seed ${f.seeds[i]}: ${signed(d)}`;
    dot.append(label);
    svg.append(dot);
  });
  if (f.pairs > 1) svg.append(drawing("line", {class: "interval", x1: x(f.mean - half), x2: x(f.mean + half), y1: bottom - 10, y2: bottom - 10}), drawing("circle", {class: "mean", cx: x(f.mean), cy: bottom - 10, r: 5}));
  for (const [value, anchor] of [[low, "start"], [0, "middle"], [high, "end"]]) {
    if (anchor !== "middle" && Math.abs(x(value) - x(0)) < 56) continue;
    const label = drawing("text", {x: x(value), y: bottom + 16, "text-anchor": anchor});
    label.textContent = value === 0 ? "0" : signed(Number(value.toPrecision(2)));
    svg.append(label);
  }
  return svg;
}
function openVerdict(contest, variant) {
  const c = data.contests[contest], f = family.find((g) => g.contest === contest && g.variant === variant);
  const [score, low, high, seeds, failed] = data.board[contest]?.[variant] ?? [], theirs = data.board[contest]?.[state.baseline] ?? [];
  const unit = c.unit ? ` ${c.unit}` : "";
  const where = element("p", {className: "muted", textContent: `${c.task}, ${c.backbone}, ${c.steps.toLocaleString("en-US")} steps; ${c.metric}, ${c.better} is better`});
  const command = (variants, n) => commandBlock(`--tasks ${baseName(c.task)} --variants ${variants.map(quoted).join(" ")} --seeds ${n}`, "To reproduce it:");
  if (!f || f.pairs < 1) {
    const why = variant === state.baseline ? "This is the baseline: the others are compared with it." : seeds ? "The baseline ended no trial of this contest well, so there is nothing to compare with." : failed ? "All trials failed: no score, no rank, no verdict." : "Not run.";
    openDrawer(variant, where, element("p", {textContent: why}), facts([[c.metric, seeds ? `${number(score)} ${interval(low, high)}${unit}` : null], ["ended well", seeds ?? 0], ["failed", failed || null]]), command([variant], Math.max(seeds ?? 0, 1)));
    return;
  }
  const half = halfWidth(f), known = f.pairs > 1;
  openDrawer(`${variant} against ${state.baseline}`, where,
    element("p", {}, element("b", {className: `verdict ${known ? f.verdict : "open"}`, textContent: known ? noteOf(f) || f.verdict : "no verdict"}), " ", known ? MEANING[f.verdict] : "One pair of seeds gives no verdict."),
    differencesDrawn(f),
    element("p", {className: "key", textContent: "One dot per seed: how much better than the baseline with the same seed. Shaded: the margin, within which a difference does not matter. Bar: mean and 95 % interval."}),
    facts([
      ["mean difference", `${signed(f.mean)} ${known ? interval(f.mean - half, f.mean + half) : ""}${unit}`], ["margin", `± ${number(f.margin)}${unit}`], ["pairs of seeds", f.pairs],
      ["these seeds could detect", known ? `a change of ${number(detectable(f))}${unit} or more` : null],
      [variant, `${number(score)} ${interval(low, high)}`], [state.baseline, `${number(theirs[0])} ${interval(theirs[1], theirs[2])}`], ["failed trials", failed || null],
      ["p, alone", known ? number(f.p) : null], ["compared together", `${plural(family.length, "comparison")}, adjusted by Holm`],
    ]),
    command([state.baseline, variant], f.pairs));
}

function trialCurve(i) {
  const curve = data.trials.curves[i];
  if (!curve || curve[0].length < 2) return null;
  const known = curve[0].map((step, n) => [step, curve[1][n]]).filter(([, v]) => v !== null);
  if (known.length < 2) return null;
  const xs = known.map(([x]) => x), ys = known.map(([, y]) => y), low = Math.min(...ys), high = Math.max(...ys), width = 420, height = 130;
  const at = ([x, y]) => `${(50 + (x - xs[0]) / (xs.at(-1) - xs[0]) * (width - 60)).toFixed(1)},${(height - 24 - (y - low) / (high - low || 1) * (height - 40)).toFixed(1)}`;
  const svg = drawing("svg", {viewBox: `0 0 ${width} ${height}`, class: "pairs", role: "img", "aria-label": "curve of this trial"});
  svg.append(drawing("polyline", {points: known.map(at).join(" "), style: `stroke:${shade(cellOf("label", i))}`}));
  for (const [text, x, y, anchor] of [[number(high), 44, 18, "end"], [number(low), 44, height - 22, "end"], [`step ${number(xs[0])}`, 50, height - 4, "start"], [`step ${number(xs.at(-1))}`, width - 8, height - 4, "end"]]) {
    const label = drawing("text", {x, y, "text-anchor": anchor});
    label.textContent = text;
    svg.append(label);
  }
  return svg;
}
function openTrial(i) {
  const seed = trials.columns.seed[i], contest = trials.columns.contest[i], c = data.contests[contest], label = cellOf("label", i), error = cellOf("error", i);
  const task = cellOf("full_task", i), rate = trials.columns.rate[i], reference = contest === null;
  const curve = trialCurve(i);
  openDrawer(`${label}, seed ${number(seed)}`,
    element("p", {className: "muted", textContent: [task, cellOf("full_backbone", i)].filter(Boolean).join(", ")}),
    facts([
      ["status", cellOf("status", i).replaceAll("_", " ")], [c?.metric ?? "score", trials.columns.score[i] === null ? null : number(trials.columns.score[i]) + (c?.unit ? ` ${c.unit}` : "")],
      ["normalized", trials.columns.normalized[i] === null ? null : number(trials.columns.normalized[i], 2)], ["steps", number(trials.columns.steps[i])],
      ["learning rate", rate === null || reference ? (reference ? null : "the task's own") : number(rate)], ["took", seconds(trials.columns.seconds[i])],
      ["converged", trials.columns.converged[i] === null ? null : trials.columns.converged[i] ? "yes" : "no, the loss still fell"], ["variant", reference ? null : label], ["reference", reference ? label : null],
    ]),
    error ? element("pre", {className: "log", textContent: error}) : null,
    trials.logs[i] ? element("h4", {textContent: "The end of its log"}) : null, trials.logs[i] ? element("pre", {className: "log", textContent: trials.logs[i]}) : null,
    curve ? element("h4", {textContent: "Its own curve, on validation data (or the training loss where there is none)"}) : null, curve,
    commandBlock(`--tasks ${baseName(task)}${reference ? "" : ` --variants ${quoted(label)}`} --seeds ${Number(seed ?? 0) + 1}`, `To run it again (seeds 0 to ${number(seed)}; what is stored already is used again):`));
}
