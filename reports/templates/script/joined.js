// Show the rows of the chosen machine and revision; a section without any is hidden. The address keeps the choice.
const chosen = {machine: document.getElementById("machine"), revision: document.getElementById("revision")};
const rows = [...document.querySelectorAll("tr[data-machine]")];

function filter() {
  for (const row of rows) row.hidden = Object.entries(chosen).some(([name, list]) => list.value && row.dataset[name] !== list.value);
  for (const section of document.querySelectorAll("[data-section]")) section.hidden = !section.querySelector("tr[data-machine]:not([hidden])");
  const shown = rows.filter((row) => !row.hidden).length;
  document.getElementById("shown").textContent = `${shown} of ${rows.length} rows`;
}
function remember() {
  const address = new URLSearchParams(Object.entries(chosen).filter(([, list]) => list.value).map(([name, list]) => [name, list.value]));
  history.replaceState(null, "", `#${address}`);
  filter();
}
for (const [name, list] of Object.entries(chosen)) {
  list.value = new URLSearchParams(location.hash.slice(1)).get(name) ?? "";
  if (list.selectedIndex < 0) list.value = "";
  list.addEventListener("change", remember);
}
filter();
