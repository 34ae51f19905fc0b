// all that is known of one row, drawn when it is asked for
let parsed;
const data = () => parsed ??= JSON.parse(document.getElementById("data").textContent);
const dialog = document.createElement("dialog");
document.body.append(dialog);
function element(tag, parent, words = "", kind = "") {
  const made = document.createElement(tag);
  made.textContent = words;
  made.className = kind;
  parent.append(made);
  return made;
}
function facts(number, parent) {
  const list = element("dl", parent);
  for (const row of document.querySelectorAll(`tr[data-row="${number}"]`)) {
    const heads = row.closest("table").tHead.rows;
    const titles = heads[heads.length - 1].cells, groups = heads.length > 1 ? [...heads[0].cells].flatMap(cell => Array(cell.colSpan).fill(cell.textContent)) : [];
    [...row.cells].forEach((cell, index) => {
      if (index === 0) return; // the name, which is the heading
      const group = ["Model", "Result", "Compared"].includes(groups[index]) ? "" : groups[index];
      element("dt", list, [group, titles[index].textContent].filter(Boolean).join(" "));
      element("dd", list, cell.textContent);
    });
  }
}
function histogram([title, path, median, words, ticks], parent) {
  const figure = element("figure", parent);
  element("figcaption", figure, `${title}, ms`);
  const svg = figure.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "svg"));
  const attributes = { class: "histogram", viewBox: "0 0 100 40", preserveAspectRatio: "none" };
  for (const name in attributes) svg.setAttribute(name, attributes[name]);
  for (const [kind, outline] of [["bars", path], ["median", `M${median} 0V40`]]) {
    const drawn = svg.appendChild(document.createElementNS(svg.namespaceURI, "path"));
    drawn.setAttribute("class", kind);
    drawn.setAttribute("d", outline);
  }
  const axis = element("div", figure, "", "ticks");
  for (const [at, word] of ticks) element("span", axis, word).style.left = `${at}%`;
  element("figcaption", figure, words);
}
function bars(classes, iou, parent) {
  const list = element("ul", parent);
  iou.forEach((share, index) => {
    const line = element("li", list), name = element("span", line, "", "name"), [word, colour] = classes[index];
    element("span", name, "", "swatch").style.background = `rgb(${colour})`;
    name.append(word);
    const bar = element("span", element("span", line, "", "track"), "", "bar");
    bar.style.width = `${(share ?? 0) / 10}%`;
    element("span", line, share === null ? "–" : (share / 10).toFixed(1), "figure");
  });
}
function showRow(number) {
  const row = data().rows[number];
  dialog.replaceChildren();
  element("button", dialog, "Close").addEventListener("click", () => dialog.close());
  element("h2", dialog, row.tip[0]);
  const columns = element("div", dialog, "", `columns m${row.colour}`), left = element("div", columns), right = element("div", columns, "", "card");
  for (const sentence of row.warnings) element("p", left, sentence, "loss");
  for (const one of row.histograms) histogram(one, left);
  facts(number, left);
  if (row.iou.length) {
    element("h3", right, "IoU by class, %");
    bars(data().sets[row.set], row.iou, right);
  }
  dialog.showModal();
}
dialog.addEventListener("click", event => { if (event.target === dialog) dialog.close(); });
document.addEventListener("click", event => {
  const name = event.target.closest(".open");
  if (name) showRow(name.closest("tr").dataset.row);
});
