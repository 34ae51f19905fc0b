"use strict";
// sort a table by the heading that was clicked; cells without a figure stay last
for (const button of document.querySelectorAll(".sortable button")) button.addEventListener("click", () => {
  const head = button.closest("th"), body = head.closest("table").tBodies[0];
  const order = head.ariaSort !== "none" ? (head.ariaSort === "ascending" ? "descending" : "ascending") : head.dataset.first || "ascending";
  for (const other of head.parentNode.cells) other.ariaSort = "none";
  head.ariaSort = order;
  const sign = order === "ascending" ? 1 : -1;
  const keyed = [...body.rows].map(row => [row.cells[head.cellIndex], row]);
  keyed.sort(([a], [b]) => {
    const x = a.dataset.value, y = b.dataset.value;
    if (x === undefined) return sign * a.textContent.localeCompare(b.textContent, undefined, { numeric: true });
    return x === "" || y === "" ? (x === "") - (y === "") : sign * (x - y);
  });
  body.append(...keyed.map(([, row]) => row));
});
// the browser's own tooltip is slow and plain: show the same words in ours
const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
document.body.append(tip);
for (const point of document.querySelectorAll(".edgekd-plot .point")) {
  const title = point.querySelector("title"), [first, ...rest] = title.textContent.split("\n");
  title.remove();
  point.addEventListener("pointerenter", () => {
    const strong = document.createElement("strong");
    strong.textContent = first;
    tip.replaceChildren(strong, "\n" + rest.join("\n"));
    tip.hidden = false;
    const at = point.getBoundingClientRect(), box = tip.getBoundingClientRect();
    const above = at.top - box.height - 6;
    tip.style.left = Math.max(8, Math.min(at.left + at.width / 2 - box.width / 2, document.documentElement.clientWidth - box.width - 8)) + "px";
    tip.style.top = (above > 8 ? above : at.bottom + 6) + "px";
  });
  point.addEventListener("pointerleave", () => { tip.hidden = true; });
}
addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
