// Draws each chart when it comes near the window and forgets it when it is far away, so that a page of a thousand
// trades stays light. Colours are names of the style sheet's, so that charts follow light and dark.
"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const buttons = [["toImage", "zoomIn2d", "zoomOut2d", "resetScale2d"]]; // these and no others: none that uploads
  const touched = matchMedia("(pointer: coarse)");
  const drawn = new Set();

  const painted = (value, style) => {
    if (typeof value === "string") return value.startsWith("--") ? style.getPropertyValue(value).trim() : value;
    if (value === null || typeof value !== "object") return value;
    if (Array.isArray(value)) return typeof value[0] === "number" ? value : value.map((one) => painted(one, style));
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, painted(one, style)]));
  };

  const draw = (element) => {
    const figure = painted(figures[element.dataset.chart], getComputedStyle(document.documentElement));
    const small = touched.matches || element.clientWidth < 480;
    if (small) {
      figure.layout.dragmode = false; // a finger on a chart scrolls the page
      figure.layout.xaxis.nticks = 4;
      figure.layout.xaxis.tickformatstops = [{ dtickrange: [null, 86399999], value: "%H:%M\n%b %-d" }];
    }
    const config = { responsive: true, displaylogo: false, displayModeBar: !small, modeBarButtons: buttons };
    Plotly.react(element, figure.data, figure.layout, config);
    drawn.add(element);
  };

  const forget = (element) => {
    if (drawn.delete(element)) Plotly.purge(element);
  };

  const watcher = new IntersectionObserver(
    (entries) => entries.forEach((entry) => (entry.isIntersecting ? draw : forget)(entry.target)),
    { rootMargin: "1200px 0px" },
  );
  document.querySelectorAll(".chart").forEach((element) => watcher.observe(element));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach(draw));
})();
