// ---- hover: what a mark stands for
const NAMES = [["parameters", count], ["FLOPs", count], ["forward", seconds], ["step", seconds], ["memory", bytes]];
function tell(event) {
  const mark = event.target.closest?.("svg [data-variant], .matrix td[title], .matrix td[data-detail]"), tip = $("tip");
  if (!mark) { tip.style.display = "none"; return; }
  let text = mark.dataset.detail;
  if (mark.tagName === "TD") {
    if (mark.title) { text = mark.dataset.detail = `${mark.dataset.column}: ${mark.title}`; mark.removeAttribute("title"); }
  } else {
    const variant = mark.dataset.variant, contest = mark.closest("[data-contest]")?.dataset.contest;
    const row = data.board[contest]?.[variant];
    text = variant;
    if (row) text += `: ${data.contests[contest].metric} ${number(row[0])} ${interval(row[1], row[2])}, ${plural(row[3], "seed")}; ` + NAMES.map(([name, read], i) => row[5 + i] === null ? "" : `${name} ${read(row[5 + i])}`).filter(Boolean).join(", ");
  }
  tip.textContent = text;
  tip.style.display = "block";
  const box = tip.getBoundingClientRect();
  tip.style.left = Math.max(4, Math.min(event.clientX + 12, innerWidth - box.width - 8)) + "px";
  tip.style.top = Math.max(4, event.clientY + 16 + box.height > innerHeight ? event.clientY - box.height - 10 : event.clientY + 16) + "px";
}
