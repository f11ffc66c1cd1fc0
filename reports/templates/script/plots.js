// ---- curves that zoom (drag; double click to go back) and tell their values under the pointer, drawn by uPlot
const plots = new Map();
const folded = (figure) => figure.closest("details:not([open]), [hidden]") !== null;
const real = (value) => getComputedStyle(document.documentElement).getPropertyValue(value.slice(4, -1)).trim();
function axesOf(label, steps) {
  const line = {stroke: real("var(--muted)"), grid: {stroke: real("var(--line)"), width: 1}, ticks: {stroke: real("var(--line)"), width: 1}, font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif"};
  const values = (_, ticks) => { let digits = 3; while (digits < 8 && new Set(ticks.map((t) => t.toPrecision(digits))).size < ticks.length) digits++; return ticks.map((t) => t === null ? "" : Math.abs(t) >= 1e4 ? count(t) : String(Number(t.toPrecision(digits)))); };
  return [{...line, label: steps, labelSize: 22, size: 34, values}, {...line, label, labelSize: 22, size: 58, values}];
}
function drawPlot(figure) {
  const curves = data.curves[figure.dataset.curves];
  if (!curves) return;
  const names = Object.keys(curves.series), series = [{label: "step"}], columns = [curves.steps], bands = [];
  for (const name of names) {
    const [mean, low, high] = curves.series[name], color = real(shade(name)), hidden = state.hidden.has(name);
    const at = series.length;
    series.push({label: name, stroke: color, width: 2, show: !hidden, spanGaps: true, points: {size: 4}, value: (_, v) => number(v)});
    series.push({label: name + " low", stroke: "transparent", show: !hidden, spanGaps: true, points: {show: false}});
    series.push({label: name + " high", stroke: "transparent", show: !hidden, spanGaps: true, points: {show: false}});
    bands.push({series: [at + 2, at + 1], fill: color + "26"});
    columns.push(mean, low, high);
  }
  const [low, high] = curves.range, room = 0.06 * (high - low || 1);
  const options = {
    width: Math.max(260, figure.clientWidth), height: 260, series, bands, axes: axesOf(curves.label, curves.stepsLabel), legend: {show: false}, cursor: {drag: {x: true, y: true, uni: 30}},
    scales: {x: {time: false}, y: {range: (_, least, most) => plots.get(figure)?.zoomed ? [least, most] : [low - room, high + room]}},
    hooks: {setSelect: [() => { const known = plots.get(figure); if (known) known.zoomed = true; }], setCursor: [(u) => tellCurve(u, figure, names)], draw: [(u) => drawBounds(u, curves.bounds)]},
  };
  figure.replaceChildren();
  const plot = new uPlot(options, columns, figure);
  figure.addEventListener("dblclick", () => { const known = plots.get(figure); if (known) { known.zoomed = false; plot.setScale("y", {min: low - room, max: high + room}); } });
  plots.set(figure, {plot, names, zoomed: false});
  highlightPlots();
}
function drawBounds(u, bounds) {
  for (const [name, value] of Object.entries(bounds)) {
    if (value === null || value < u.scales.y.min || value > u.scales.y.max) continue;
    const y = Math.round(u.valToPos(value, "y", true));
    u.ctx.save();
    u.ctx.strokeStyle = u.ctx.fillStyle = real("var(--muted)");
    u.ctx.setLineDash([2, 3]);
    u.ctx.beginPath(); u.ctx.moveTo(u.bbox.left, y); u.ctx.lineTo(u.bbox.left + u.bbox.width, y); u.ctx.stroke();
    u.ctx.textAlign = "right";
    u.ctx.fillText(name, u.bbox.left + u.bbox.width - 4, y - 4);
    u.ctx.restore();
  }
}
function tellCurve(u, figure, names) {
  const out = figure.nextElementSibling, i = u.cursor.idx;
  if (!out?.classList.contains("values")) return;
  out.replaceChildren();
  if (i === null || i === undefined) { out.append("Point at the curves to read values; drag to zoom, double click to go back."); return; }
  const epoch = data.curves[figure.dataset.curves].epochSteps;
  out.append(`step ${number(u.data[0][i])}${epoch ? `, epoch ${number(u.data[0][i] / epoch)}` : ""}: `);
  names.forEach((name, n) => {
    const at = 1 + 3 * n, mean = u.data[at][i];
    if (mean === null || mean === undefined || !u.series[at].show) return;
    const entry = element("span", {}, element("span", {className: "dot"}), `${name} ${number(mean)} `, element("small", {textContent: interval(u.data[at + 1][i], u.data[at + 2][i], 2)}));
    entry.firstChild.style.setProperty("--shade", shade(name));
    out.append(entry);
  });
}
function showPlots() {
  for (const figure of all("figure.plot")) {
    if (folded(figure)) continue;
    const known = plots.get(figure);
    if (!known) { drawPlot(figure); continue; }
    known.names.forEach((name, n) => [1, 2, 3].forEach((k) => { if (known.plot.series[3 * n + k].show === state.hidden.has(name)) known.plot.setSeries(3 * n + k, {show: !state.hidden.has(name)}); }));
  }
}
function highlightPlots() {
  for (const {plot, names} of plots.values()) names.forEach((name, n) => {
    const alpha = state.picked.size && !state.picked.has(name) ? 0.15 : 1;
    for (const k of [1, 2, 3]) plot.series[3 * n + k].alpha = alpha;
  });
  for (const {plot} of plots.values()) plot.redraw(false);
}
function redrawPlots() {
  for (const [figure, {plot}] of plots) { plot.destroy(); plots.delete(figure); if (!folded(figure)) drawPlot(figure); }
}
