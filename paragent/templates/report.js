(function () {
  "use strict";
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const root = document.documentElement;
  const narrow = () => window.innerWidth < 720;
  const touch = window.matchMedia("(pointer: coarse)").matches;

  // A colour written as var(--name) becomes the value that the current theme gives it.
  function themed(value) {
    if (typeof value === "string") {
      const found = /^var\((--[a-z-]+)\)$/.exec(value);
      return found ? getComputedStyle(root).getPropertyValue(found[1]).trim() : value;
    }
    if (Array.isArray(value)) return value.map(themed);
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, themed(v)]));
    }
    return value;
  }

  function axis(given, own) {
    return Object.assign(
      { gridcolor: themed("var(--rule)"), linecolor: themed("var(--line)"), zerolinecolor: themed("var(--line)"), automargin: true },
      given, own);
  }

  // On a phone a log axis over more than a decade is labelled at powers of ten only.
  function logTicks(figure) {
    const xs = figure.data.flatMap((trace) => trace.x || []).filter((x) => x > 0);
    return Math.max(...xs) / Math.min(...xs) > 20 ? { dtick: 1 } : { dtick: "D2" };
  }

  function draw(element) {
    const figure = figures[element.dataset.figure];
    element.hidden = !figure;
    if (!figure) return;
    const layout = themed(figure.layout);
    const small = narrow();
    const top = layout.legend && layout.legend.yanchor === "bottom" ? 48 : 24;
    Plotly.react(element, themed(figure.data), Object.assign({}, layout, {
      autosize: true,
      modebar: { bgcolor: "rgba(0,0,0,0)", color: themed("var(--faint)"), activecolor: themed("var(--accent)") },
      font: { family: getComputedStyle(document.body).fontFamily, size: small ? 11 : 13, color: themed("var(--ink)") },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      margin: small ? { l: 44, r: 8, t: top, b: 50 } : { l: 60, r: 20, t: top, b: 56 },
      height: small ? Math.min(layout.height || 400, Math.max(380, 60 + 22 * (figure.data[0].y || []).length)) : layout.height,
      hoverlabel: { bgcolor: themed("var(--card)"), bordercolor: themed("var(--accent)"), font: { color: themed("var(--ink)"), size: small ? 11 : 13 }, align: "left" },
      // On a touch screen a drag must scroll the page, not zoom the figure.
      dragmode: touch ? false : "zoom",
      xaxis: axis(layout.xaxis, small && layout.xaxis.type === "log" ? logTicks(figure) : {}), yaxis: axis(layout.yaxis),
    }), { responsive: true, displaylogo: false, displayModeBar: touch ? false : "hover",
          // Named one by one: plotly's own list has a button that uploads the data.
          modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]], plotlyServerURL: "",
          toImageButtonOptions: { filename: element.dataset.figure } });
  }

  const elements = Array.from(document.querySelectorAll("[data-figure]"));
  function drawAll() { if (window.Plotly) elements.forEach(draw); }

  if (!window.Plotly) document.getElementById("no-plotly").hidden = false;
  drawAll();

  const pareto = document.querySelector('[data-figure="pareto"]');
  if (pareto && pareto.on) {
    pareto.on("plotly_click", (event) => {
      const target = document.getElementById("d-" + event.points[0].customdata);
      if (target) location.hash = target.id;
    });
  }

  document.getElementById("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : window.matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("paragent-theme", root.dataset.theme); } catch (e) { /* files may have no storage */ }
    drawAll();
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  let wasNarrow = narrow();
  window.addEventListener("resize", () => { if (narrow() !== wasNarrow) { wasNarrow = narrow(); drawAll(); } });

  document.querySelectorAll(".copy").forEach((button) => {
    button.addEventListener("click", async () => {
      const text = button.parentElement.querySelector("pre").textContent;
      try { await navigator.clipboard.writeText(text); }
      catch (e) {
        const area = document.createElement("textarea");
        area.value = text; document.body.append(area); area.select(); document.execCommand("copy"); area.remove();
      }
      button.textContent = "copied";
      setTimeout(() => { button.textContent = "copy"; }, 1500);
    });
  });
})();
