// ---- controls
function fill(id, values) {
  for (const value of [...new Set(values)].sort((a, b) => a.localeCompare(b, "en", {numeric: true}))) $(id).add(new Option(id === "budget" ? `${value} steps` : value.replaceAll("_", " "), value));
}
function prepareControls() {
  const known = Object.values(data.contests);
  fill("suite", known.map((c) => c.suite)); fill("task", known.map((c) => c.task)); fill("budget", known.map((c) => String(c.steps)));
  for (const name of ["baseline", "suite", "task", "budget"]) {
    $(name).value = state[name];
    if ($(name).selectedIndex < 0 && $(name).options.length) { $(name).selectedIndex = 0; state[name] = $(name).value; }
    $(name).addEventListener("change", () => { state[name] = $(name).value; name === "baseline" ? showVerdicts() : filter(); });
  }
  for (const variant of data.variants) {
    const box = element("input", {type: "checkbox", checked: !state.hidden.has(variant)});
    box.dataset.show = variant;
    $("shown").append(element("label", {}, box, " " + variant));
    box.addEventListener("change", () => { box.checked ? state.hidden.delete(variant) : state.hidden.add(variant); filter(); });
  }
  $("search").value = state.find;
  $("search").addEventListener("input", () => { state.find = $("search").value; page = 0; showTrials(); });
  $("earlier").addEventListener("click", () => { page--; showTrials(); });
  $("later").addEventListener("click", () => { page++; showTrials(); });
  $("link").addEventListener("click", () => {
    history.replaceState(null, "", address());
    copyText(location.href, $("link"));
  });
  $("theme").addEventListener("click", () => { const root = document.documentElement; root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark"; redrawPlots(); });
}
function closeMenus() { all("details.menu[open]").forEach((menu) => { menu.open = false; }); }
function activate(target) {
  const button = target.closest("[data-pick]"), cell = target.closest(".matrix td[data-column]"), trial = target.closest("tr[data-trial]"), mark = target.closest("tr[data-variant], svg [data-variant]");
  if (button) pick(button.dataset.pick);
  else if (target.closest("a, button, input, select, summary")) return;
  else if (cell && !cell.classList.contains("absent")) openVerdict(cell.parentElement.dataset.contest, cell.dataset.column);
  else if (trial) openTrial(Number(trial.dataset.trial));
  else if (mark) pick(mark.dataset.variant);
}
function prepareEvents() {
  document.addEventListener("click", (event) => {
    activate(event.target);
    if (!event.target.closest("details.menu")) closeMenus();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { state.picked.clear(); highlight(); closeMenus(); $("tip").style.display = "none"; }
    if (event.key === "Enter" && event.target.matches?.(".matrix td, tr[data-trial]")) activate(event.target);
    if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) { event.preventDefault(); $("search").focus(); }
  });
  document.addEventListener("pointermove", tell);
  document.addEventListener("pointerleave", () => { $("tip").style.display = "none"; });
  $("drawer").addEventListener("click", (event) => { if (event.target === $("drawer")) $("drawer").close(); });
  $("drawer-close").addEventListener("click", () => $("drawer").close());
  for (const part of all("details")) part.addEventListener("toggle", () => { if (part.open) showPlots(); });
  addEventListener("beforeprint", () => all("details.contest").forEach((part) => { part.open = true; }));
  addEventListener("hashchange", follow);
  addEventListener("resize", () => { clearTimeout(prepareEvents.timer); prepareEvents.timer = setTimeout(() => { for (const [figure, {plot}] of plots) plot.setSize({width: Math.max(260, figure.clientWidth), height: 260}); }, 150); });
}
// A link to something that is folded opens it first.
function follow() {
  const target = /^#[\w-]+$/.test(location.hash) && $(location.hash.slice(1));
  if (!target) return;
  for (let part = target; part; part = part.parentElement?.closest("details")) if (part.tagName === "DETAILS") part.open = true;
  target.scrollIntoView();
}
// The entry of the contents whose section is being read.
function prepareContents() {
  const links = all("nav.contents a"), marks = new Map(links.map((link) => [$(link.hash.slice(1)), link]));
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) marks.get(entry.target)?.toggleAttribute("data-near", entry.isIntersecting);
    const near = links.filter((link) => link.hasAttribute("data-near"));
    links.forEach((link) => link.removeAttribute("aria-current"));
    near[0]?.setAttribute("aria-current", "true");
  }, {rootMargin: "-90px 0px -55% 0px"});
  for (const section of marks.keys()) if (section) watcher.observe(section);
}

readAddress();
prepareControls();
prepareTables();
prepareChoice();
prepareEvents();
showVerdicts();
filter();
highlight();
follow();
prepareContents();
document.documentElement.dataset.ready = "yes";
