// ---- the course of a metric: dates and commits below, values with their unit at the left, read under the pointer
const real = (value) => getComputedStyle(document.documentElement).getPropertyValue(value).trim();
const read = (value) => value === null || value === undefined ? "–" : data.unit === "seconds" ? seconds(value) : data.unit === "bytes" ? bytes(value) : `${number(value)} ${data.unit}`.trim();
function distinct(ticks) {
  let digits = 3;
  while (digits < 8 && new Set(ticks.map((t) => Number(t).toPrecision(digits))).size < ticks.length) digits++;
  return ticks.map((t) => t === null ? "" : data.unit === "seconds" || data.unit === "bytes" ? read(t) : String(Number(Number(t).toPrecision(digits))));
}
function draw(figure) {
  const plot = data.plots[Number(figure.dataset.plot)], names = Object.keys(plot.lines), n = data.runs.length;
  const line = {stroke: real("--muted"), grid: {stroke: real("--line"), width: 1}, ticks: {stroke: real("--line"), width: 1}, font: "12px system-ui, sans-serif"};
  const series = [{}], columns = [data.runs.map((_, i) => i)], bands = [];
  for (const name of names) {
    const {values: [mean, low, high], slot, machine} = plot.lines[name], color = real(`--c${slot}`), at = series.length;
    series.push({label: name, stroke: color, width: 2, dash: machine ? [6, 3 * machine] : [], spanGaps: true, points: {show: true, size: 7, fill: color}});
    series.push({stroke: "transparent", spanGaps: true, points: {show: false}}, {stroke: "transparent", spanGaps: true, points: {show: false}});
    bands.push({series: [at + 2, at + 1], fill: color + "26"});
    columns.push(mean, low, high);
  }
  const width = Math.max(260, figure.clientWidth), every = Math.max(1, Math.ceil(n / Math.max(1, Math.floor(width / 110))));
  const when = (i) => { const run = data.runs[i]; return run ? `${run[1].slice(0, 10)}\n${run[2].slice(0, 7)}` : ""; };
  const options = {
    width, height: 240, series, bands, legend: {show: false}, cursor: {drag: {x: true, y: false}},
    scales: {x: {time: false, range: (_, least, most) => [least - 0.4, most + 0.4]}},
    axes: [{...line, size: 46, splits: () => data.runs.map((_, i) => i).filter((i) => i % every === 0), values: (_, ticks) => ticks.map(when)}, {...line, size: 76, label: data.label, labelSize: 20, labelFont: "12px system-ui, sans-serif", values: (_, ticks) => distinct(ticks)}],
    hooks: {draw: [(u) => marks(u, plot.marks)], setCursor: [(u) => {
      const out = figure.nextElementSibling, i = u.cursor.idx, run = data.runs[i];
      out.replaceChildren();
      if (!run) { legend(out, plot, names); return; }
      out.append(`${run[1]} ${run[2]}: `);
      plot.marks.filter(([at]) => at === i).forEach(([, kind, text]) => out.append(element("span", {}, element("small", {textContent: kind === "step" ? `changed: ${text}` : text}))));
      names.forEach((name) => {
        const [mean, low, high] = plot.lines[name].values;
        if (mean[i] === null) return;
        const dot = element("span", {className: "dot"});
        dot.style.setProperty("--shade", `var(--c${plot.lines[name].slot})`);
        out.append(element("span", {}, dot, `${name} ${read(mean[i])} `, element("small", {textContent: low[i] === null ? "" : `[${read(low[i])}, ${read(high[i])}]`})));
      });
    }]},
  };
  figure.replaceChildren();
  new uPlot(options, columns, figure);
  legend(figure.nextElementSibling, plot, names);
}
function marks(u, listed) {
  const pen = u.ctx, {top, height} = u.bbox, ratio = devicePixelRatio || 1;
  pen.save();
  pen.font = `${12 * ratio}px system-ui, sans-serif`;
  const narrow = u.bbox.width < 500 * ratio;
  for (const [number, [at, kind, whole]] of listed.entries()) {
    const text = narrow ? whole.match(/[-+][^ ,]*%/g)?.join(", ") ?? "" : whole;
    const x = Math.round(u.valToPos(at - 0.5, "x", true));
    if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) continue;
    pen.strokeStyle = pen.fillStyle = real(kind === "step" ? "--ink" : "--muted");
    pen.lineWidth = (kind === "step" ? 2 : 1) * ratio;
    pen.setLineDash(kind === "step" ? [] : [2 * ratio, 3 * ratio]);
    pen.beginPath();
    pen.moveTo(x, top);
    pen.lineTo(x, top + height);
    pen.stroke();
    if (kind !== "step") continue;
    const left = x + pen.measureText(text).width + 5 * ratio > u.bbox.left + u.bbox.width;
    pen.textAlign = left ? "right" : "left";
    pen.fillText(text, x + (left ? -5 : 5) * ratio, top + (12 + 14 * (number % 3)) * ratio);
  }
  pen.restore();
}
function legend(out, plot, names) {
  out.replaceChildren();
  names.forEach((name) => {
    const dot = element("span", {className: "dot"});
    dot.style.setProperty("--shade", `var(--c${plot.lines[name].slot})`);
    out.append(element("span", {}, dot, name));
  });
}
all("figure.plot").forEach(draw);
document.documentElement.dataset.ready = "yes";
