// Every table can be saved as CSV; nothing is fetched or sent.
const text = (cell) => [...cell.childNodes]
  .map((part) => part.textContent.trim().replace(/\u2212/g, "-").replace(/\s+/g, " ")).filter(Boolean).join("; ");
const quoted = (value) => `"${value.replace(/"/g, '""')}"`;
const csv = (table) => {
  const grouped = table.querySelector("tr.group") !== null;
  let group = "Group";
  const lines = [];
  for (const row of table.rows) {
    const cells = [...row.cells].map(text);
    if (row.classList.contains("group")) { group = cells[0]; continue; }
    lines.push((grouped ? [group, ...cells] : cells).map(quoted).join(","));
  }
  return "\ufeff" + lines.join("\r\n") + "\r\n";
};
for (const table of document.querySelectorAll("table[data-csv]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "save";
  button.textContent = "Save as CSV";
  button.addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csv(table)], { type: "text/csv" }));
    link.download = `${table.dataset.csv}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
  table.parentElement.before(button);
}

// The plots: the library is unpacked once, and drawn again when light turns to dark.
const dark = matchMedia("(prefers-color-scheme: dark)");
const coarse = matchMedia("(pointer: coarse)");
const { days, plots } = JSON.parse(document.getElementById("plots").textContent);

const tone = (name, styles) => {
  const [variable, opacity] = name.split("/");
  const colour = styles.getPropertyValue(variable).trim();
  if (opacity === undefined) return colour;
  const channels = [1, 3, 5].map((start) => parseInt(colour.slice(start, start + 2), 16));
  return `rgba(${channels.join(",")},${opacity})`;
};
const resolved = (value, styles) => {
  if (typeof value === "string") {
    if (value.startsWith("--")) return tone(value, styles);
    return /^@\d+$/.test(value) ? days[Number(value.slice(1))] : value;
  }
  if (Array.isArray(value)) return value.map((each) => resolved(each, styles));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, resolved(each, styles)]));
};
const quiet = (styles, more = {}) => ({
  gridcolor: tone("--grid", styles), linecolor: tone("--grid", styles), zerolinecolor: tone("--muted", styles),
  zerolinewidth: 1, tickfont: { size: 12, color: tone("--muted", styles) }, automargin: true, fixedrange: coarse.matches,
  ...more, ...(more.title ? { title: { ...more.title, font: { size: 12, color: tone("--muted", styles) } } } : {}),
});
// A plot with choices shows some of its traces at a time; a row of buttons above it says which.
const chooser = (place) => {
  const { choices, chosen } = plots[place.dataset.plot];
  if (!choices || choices.length < 2) return choices ? choices[0].traces : null;
  if (place.dataset.chosen === undefined) {
    place.dataset.chosen = chosen;
    const row = document.createElement("div");
    row.className = "choices";
    choices.forEach(({ label }, number) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = label;
      button.setAttribute("aria-pressed", number === chosen);
      button.addEventListener("click", () => {
        place.dataset.chosen = number;
        [...row.children].forEach((each, at) => each.setAttribute("aria-pressed", at === number));
        draw(place);
      });
      row.append(button);
    });
    place.before(row);
  }
  return choices[Number(place.dataset.chosen)].traces;
};
// The names above a plot hide and show their traces; they wrap as the width allows.
const hidden = new Map();
const legend = (place, data) => {
  const name = place.dataset.plot;
  if (!hidden.has(name)) {
    hidden.set(name, new Set(data.flatMap((trace, at) => (trace.visible === "legendonly" ? [at] : []))));
    const row = document.createElement("div");
    row.className = "legend";
    place.before(row);
  }
  const off = hidden.get(name);
  const entries = data.map((trace, at) => ({ trace, at }))
    .filter(({ trace }) => trace.showlegend !== false && trace.visible !== false);
  place.previousElementSibling.replaceChildren(...(entries.length < 2 ? [] : entries.map(({ trace, at }) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = trace.name;
    button.setAttribute("aria-pressed", !off.has(at));
    button.style.setProperty("--tone", trace.line?.color ?? trace.marker.color);
    if (trace.line?.dash) button.dataset.dash = trace.line.dash;
    button.addEventListener("click", () => {
      if (!off.delete(at)) off.add(at);
      draw(place);
    });
    return button;
  })));
  data.forEach((trace, at) => { if (trace.visible !== false) trace.visible = !off.has(at); });
};
const draw = (place) => {
  const styles = getComputedStyle(document.documentElement);
  const { data, layout, height } = resolved(plots[place.dataset.plot], styles);
  const chosen = chooser(place);
  if (chosen) data.forEach((trace, at) => { trace.visible = chosen.includes(at); });
  legend(place, data);
  const { xaxis, yaxis, yaxis2, ...rest } = layout;
  Plotly.react(place, data, {
    height: height + 54, margin: { l: 52, r: yaxis2 ? 44 : 12, t: 18, b: 36 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12.5, color: tone("--ink", styles) },
    hovermode: "x unified", dragmode: coarse.matches ? false : "zoom", showlegend: false,
    hoverlabel: {
      bgcolor: tone("--card", styles), bordercolor: tone("--line", styles), font: { color: tone("--ink", styles) },
    },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: tone("--muted", styles), activecolor: tone("--ink", styles) },
    ...rest,
    xaxis: quiet(styles, { showgrid: false, ...xaxis }), yaxis: quiet(styles, yaxis),
    ...(yaxis2 ? { yaxis2: quiet(styles, yaxis2) } : {}),
  }, {
    responsive: true, displaylogo: false, scrollZoom: false, modeBarButtons: [["toImage", "resetScale2d"]],
    displayModeBar: coarse.matches ? false : "hover",
    toImageButtonOptions: { filename: place.dataset.plot, scale: 2 },
  });
};
const unpacked = async () => {
  const packed = Uint8Array.from(atob(document.getElementById("library").textContent), (each) => each.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const element = document.createElement("script");
  element.textContent = await new Response(stream).text();
  document.head.append(element);
};
const places = [...document.querySelectorAll("[data-plot]")];
const drawAll = () => places.forEach(draw);
unpacked().then(() => {
  drawAll();
  document.documentElement.dataset.drawn = places.length;
  dark.addEventListener("change", drawAll);
}).catch((error) => {
  for (const place of places) place.classList.add("failed");
  throw error;
});
