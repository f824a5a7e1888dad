// Draws each chart when it comes near the window and forgets it when it is far away, so that a page of a thousand
// trades stays light; on paper all of them. Colours are names of the style sheet's, so that charts follow light and dark.
"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const buttons = [["toImage", "zoomIn2d", "zoomOut2d", "resetScale2d"]]; // these and no others: none that uploads
  const touched = matchMedia("(pointer: coarse)");
  const root = document.documentElement;
  const charts = document.querySelectorAll(".chart");
  const drawn = new Set();
  const PAPER = { wide: 1000, narrow: 490, height: 270 }; // in CSS pixels: an A4 page across, and half of it

  const painted = (value, style) => {
    if (typeof value === "string") return value.startsWith("--") ? style.getPropertyValue(value).trim() : value;
    if (value === null || typeof value !== "object") return value;
    if (Array.isArray(value)) return typeof value[0] === "number" ? value : value.map((one) => painted(one, style));
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, painted(one, style)]));
  };

  const draw = (element) => {
    const figure = painted(figures[element.dataset.chart], getComputedStyle(root));
    const onPaper = root.classList.contains("paper");
    const small = onPaper || touched.matches || element.clientWidth < 480;
    if (small) {
      figure.layout.dragmode = false; // a finger on a chart scrolls the page
      figure.layout.xaxis.nticks = 4;
    }
    if (small || element.clientWidth < 720) // with the year two dates would run into each other
      figure.layout.xaxis.tickformatstops = [{ dtickrange: [null, 86399999], value: "%H:%M\n%b %-d" }];
    if (onPaper) {
      figure.layout.width = element.closest("figure") ? PAPER.narrow : PAPER.wide;
      figure.layout.height = PAPER.height;
    }
    const config = { responsive: !onPaper, displaylogo: false, displayModeBar: !small, modeBarButtons: buttons };
    Plotly.react(element, figure.data, figure.layout, config);
    drawn.add(element);
  };

  const forget = (element) => {
    if (drawn.delete(element)) Plotly.purge(element);
  };

  const watcher = new IntersectionObserver(
    (entries) => {
      if (root.classList.contains("paper")) return;
      entries.forEach((entry) => (entry.isIntersecting ? draw : forget)(entry.target));
    },
    { rootMargin: "1200px 0px" },
  );
  const watch = () => charts.forEach((element) => watcher.observe(element));
  watch();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach(draw));

  addEventListener("beforeprint", () => {
    watcher.disconnect();
    drawn.forEach(forget);
    root.classList.add("paper");
    charts.forEach(draw);
  });
  addEventListener("afterprint", () => {
    drawn.forEach(forget);
    root.classList.remove("paper");
    watch();
  });

  // How old the page is, and a fresh one now and then: never under somebody's hands, nor while nobody looks.
  const made = Date.parse(document.querySelector("time").dateTime);
  const age = document.getElementById("age");
  const tellAge = () => {
    const minutes = Math.floor((Date.now() - made) / 60000);
    if (minutes < 1) age.textContent = ", just now";
    else age.textContent = minutes < 120 ? `, ${minutes} min ago` : `, ${Math.floor(minutes / 60)} hours ago`;
  };
  tellAge();
  setInterval(tellAge, 20000);

  const box = document.getElementById("reload");
  if (!box) return;
  const KEPT = "botctl-reload";
  let touchedAt = 0;
  const seconds = Number(box.dataset.seconds);
  const opened = Date.now();
  try {
    box.checked = localStorage.getItem(KEPT) !== "no";
    box.addEventListener("change", () => localStorage.setItem(KEPT, box.checked ? "yes" : "no"));
  } catch {
    // a browser may keep nothing for a file
  }
  for (const what of ["pointerdown", "keydown", "wheel", "touchmove"])
    addEventListener(what, () => (touchedAt = Date.now()), { passive: true });
  setInterval(() => {
    const now = Date.now();
    const busy = now - touchedAt < 30000 || !getSelection().isCollapsed;
    if (box.checked && !document.hidden && !busy && now - opened >= 1000 * seconds) location.reload();
  }, 1000);
})();
