// What all parts of the script share: the data of the page, ways to reach its elements, numbers as people read them.
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const LEVEL = 0.05, FEWEST_PAIRS = 5, GLYPH = {better: "▲ ", worse: "▼ ", tied: "= "};

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
function drawing(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

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
function inUnits(value, units) {
  if (value === null || value === undefined) return "–";
  for (const [size, name] of units) if (Math.abs(value) >= size) return `${Number((value / size).toPrecision(3))} ${name}`.trim();
  return number(value);
}
const seconds = (value) => value ? inUnits(value, [[3600, "h"], [60, "min"], [1, "s"], [1e-3, "ms"], [0, "µs"]].map(([size, name]) => [size || 1e-6, name])) : value === 0 ? "0 s" : "–";
const bytes = (value) => inUnits(value, [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"], [1, "B"]]);
const count = (value) => inUnits(value, [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, ""]].map(([size, name]) => size === 1e4 ? [1e3, "k"] : [size, name]).filter(([size]) => size !== 1e3 || value >= 1e4));
const shade = (variant) => `var(--c${data.slots[variant] ?? 9})`;
const plural = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;

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
