addEventListener("load", () => requestAnimationFrame(() => setTimeout(() => document.body.classList.add("settled"))));
// sort a table by the heading that was clicked, show the rows that have every word of the filter; only some are laid out until all are asked for
const AT_ONCE = 100;
for (const box of document.querySelectorAll(".scroll")) {
  const body = box.querySelector("tbody"), tools = box.previousElementSibling?.matches(".tools") ? box.previousElementSibling : null;
  const [filter, more] = tools ? tools.children : [];
  const words = new Map();
  let rows = [...body.rows], all = false;
  const show = () => {
    const wanted = filter ? filter.value.toLowerCase().split(/\s+/).filter(Boolean) : [];
    let count = 0;
    for (const row of rows) {
      if (wanted.length && !words.has(row)) words.set(row, [...row.cells].map(cell => cell.textContent).join(" ").toLowerCase());
      row.hidden = !wanted.every(word => words.get(row).includes(word));
      if (!row.hidden) count++;
      row.classList.toggle("later", !all && count > AT_ONCE);
    }
    if (!tools) return;
    more.hidden = all || count <= AT_ONCE;
    more.textContent = `Show all ${count.toLocaleString("en")} rows`;
    if (box.closest("#results")) showPoints(new Set(rows.filter(row => row.hidden).map(row => row.dataset.row)));
  };
  if (tools) {
    more.textContent = `Show all ${rows.length.toLocaleString("en")} rows`;
    more.hidden = rows.length <= AT_ONCE;
    tools.hidden = false;
    filter.addEventListener("input", show);
    more.addEventListener("click", () => { all = true; show(); });
  }
  for (const button of box.querySelectorAll("thead button")) button.addEventListener("click", () => {
    const head = button.closest("th");
    const order = head.ariaSort !== "none" ? (head.ariaSort === "ascending" ? "descending" : "ascending") : head.dataset.first || "ascending";
    for (const other of head.parentNode.cells) other.ariaSort = "none";
    head.ariaSort = order;
    const sign = order === "ascending" ? 1 : -1, compare = new Intl.Collator(undefined, { numeric: true }).compare;
    // cells without a figure stay last
    const keyed = rows.map(row => [row.cells[head.cellIndex], row]).map(([cell, row]) => [cell.dataset.value ?? cell.textContent, cell.dataset.value === undefined, row]);
    keyed.sort(([a, isText], [b]) => isText ? sign * compare(a, b) : a === "" || b === "" ? (a === "") - (b === "") : sign * (a - b));
    rows = keyed.map(([, , row]) => row);
    body.append(...rows);
    show();
  });
}
