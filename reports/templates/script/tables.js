// ---- tables that sort, and that can be taken along as Markdown, LaTeX or CSV
function sortTable(table, column, direction) {
  const body = table.tBodies[0], value = (row) => row.cells[column]?.dataset.value ?? row.cells[column]?.textContent.trim() ?? "";
  const rows = [...body.rows].map((row) => [row, value(row)]);
  const blank = (v) => v === "" || v === "nan" || v === "–" || v === "<NA>" || v === "None";
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
  all("table[data-copy]").forEach(addCopies);
}

// What a cell says in one line: its parts in a row, without what stands there for the eye alone.
function plainCell(cell) {
  const part = (node) => node.nodeType === 3 ? node.textContent : node.tagName === "WBR" ? "" : node.tagName === "BR" ? " " : node.tagName === "SMALL" || node.tagName === "B" ? ` ${[...node.childNodes].map(part).join("")} ` : [...node.childNodes].map(part).join("");
  return part(cell).replace(/\s+/g, " ").trim();
}
function grid(table) {
  const rows = [...table.rows].filter((row) => !row.hidden && !row.classList.contains("suite"));
  const skipped = new Set(all("thead .scale", table).map((cell) => cell.cellIndex));
  return rows.map((row) => [...row.cells].filter((cell, i) => !cell.hidden && !skipped.has(i)).map(plainCell));
}
const LATEX = {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "±": "$\\pm$", "×": "$\\times$", "µ": "$\\mu$", "²": "$^2$", "▲": "$\\blacktriangle$", "▼": "$\\blacktriangledown$", "△": "$\\triangle$", "▽": "$\\triangledown$", "↑": "$\\uparrow$", "↓": "$\\downarrow$", "–": "--"};
const latexCell = (text) => text.replace(/[\\~^±×µ²▲▼△▽↑↓–&%$#_{}]/g, (sign) => LATEX[sign] ?? "\\" + sign);
const FORMATS = {
  Markdown: (rows) => [rows[0], rows[0].map((_, i) => i ? "---:" : "---"), ...rows.slice(1)].map((row) => `| ${row.map((cell) => cell.replace(/([\\`*<>|_])/g, "\\$1")).join(" | ")} |`).join("\n"),
  LaTeX: (rows) => [`\\begin{tabular}{l${"r".repeat(Math.max(0, rows[0].length - 1))}}`, "\\toprule", rows[0].map(latexCell).join(" & ") + " \\\\", "\\midrule", ...rows.slice(1).map((row) => row.map(latexCell).join(" & ") + " \\\\"), "\\bottomrule", "\\end{tabular}"].join("\n"),
  CSV: (rows) => rows.map((row) => row.map((cell) => /[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell).join(",")).join("\n"),
};
function addCopies(table) {
  const bar = element("p", {className: "copies"}, "Copy as ");
  for (const [format, write] of Object.entries(FORMATS)) {
    const button = element("button", {type: "button", textContent: format});
    button.addEventListener("click", () => copyText(write(grid(table)), button));
    bar.append(button);
  }
  (table.closest(".scroll") ?? table).after(bar);
}
// A page that was opened as a file may not use the clipboard of every browser: then a hidden field is copied from.
function copyText(text, button) {
  const name = button.textContent, done = () => { button.textContent = "Copied"; setTimeout(() => { button.textContent = name; }, 1500); };
  document.documentElement.dataset.copied = text;
  if (name === "Copied") return;
  const byField = () => {
    const field = element("textarea", {value: text}), place = button.closest("dialog") ?? document.body;
    place.append(field); field.select(); document.execCommand("copy"); field.remove(); done();
  };
  navigator.clipboard ? navigator.clipboard.writeText(text).then(done, byField) : byField();
}
