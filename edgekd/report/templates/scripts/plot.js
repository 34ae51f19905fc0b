// the row nearest to the pointer tells its figures; a click tells all of it
const NEAR = 24; // pixels
const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
document.body.append(tip);
function showPoints(hidden) {
  for (const point of document.querySelectorAll(".point")) point.classList.toggle("off", hidden.has(point.dataset.row));
}
for (const plot of document.querySelectorAll(".edgekd-plot")) {
  let spots, near = null;
  const leave = () => {
    near?.classList.remove("near");
    near = null;
    tip.hidden = true;
  };
  plot.addEventListener("pointermove", event => {
    spots ??= [...plot.querySelectorAll(".point")].map(point => [point, point.transform.baseVal[0].matrix]);
    const view = plot.getScreenCTM(), x = (event.clientX - view.e) / view.a, y = (event.clientY - view.f) / view.d;
    let best = NEAR / view.a, found = null;
    for (const [point, at] of spots) {
      const distance = Math.hypot(at.e - x, at.f - y);
      if (distance <= best && !point.classList.contains("off")) [best, found] = [distance, point]; // of equals the last, which is on top
    }
    if (found === near) return;
    leave();
    if (!found) return;
    near = found;
    near.classList.add("near");
    const [first, ...rest] = data().rows[near.dataset.row].tip, strong = document.createElement("strong");
    strong.textContent = first;
    tip.replaceChildren(strong, "\n" + rest.join("\n"));
    tip.hidden = false;
    const at = near.getBoundingClientRect(), box = tip.getBoundingClientRect();
    const above = at.top - box.height - 6;
    tip.style.left = Math.max(8, Math.min(at.left + at.width / 2 - box.width / 2, document.documentElement.clientWidth - box.width - 8)) + "px";
    tip.style.top = (above > 8 ? above : at.bottom + 6) + "px";
  });
  plot.addEventListener("pointerleave", leave);
  plot.addEventListener("click", () => { if (near) showRow(near.dataset.row); });
}
addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
