"use strict";
// Zoom along time: the wheel with Ctrl, `+` and `-`, arrows to move, `0` for all of it; two fingers are left to the browser.
for (const chart of document.querySelectorAll("svg[data-zoom]")) {
  const inner = chart.querySelector("svg.zoom");
  const [left, , width, height] = inner.getAttribute("viewBox").split(" ").map(Number);
  let from = left, span = width;
  const show = () => {
    span = Math.min(width, Math.max(width / 200, span));
    from = Math.min(left + width - span, Math.max(left, from));
    inner.setAttribute("viewBox", `${from} 0 ${span} ${height}`);
  };
  const zoom = (factor, at) => { from += span * at * (1 - factor); span *= factor; show(); };
  chart.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) { return; }
    event.preventDefault();
    const box = inner.getBoundingClientRect();
    zoom(event.deltaY > 0 ? 1.25 : 0.8, (event.clientX - box.left) / box.width);
  }, { passive: false });
  chart.addEventListener("keydown", (event) => {
    const act = {
      "+": () => zoom(0.8, 0.5), "=": () => zoom(0.8, 0.5), "-": () => zoom(1.25, 0.5),
      "ArrowLeft": () => { from -= span / 8; show(); }, "ArrowRight": () => { from += span / 8; show(); },
      "0": () => { from = left; span = width; show(); },
    }[event.key];
    if (act) { event.preventDefault(); act(); }
  });
}
