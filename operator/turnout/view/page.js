// The page is complete without this: it only says in words what lies under the pointer.
"use strict";
const story = JSON.parse(document.getElementById("story").textContent);
const tip = document.getElementById("tip");
for (const chart of document.querySelectorAll("svg[id]")) {
  const model = story.models[Number(chart.id.split("-")[1])];
  const { start, end, left, right } = chart.dataset;
  const cross = chart.querySelector(".cross");
  const hide = () => {
    tip.hidden = true;
    cross.setAttribute("visibility", "hidden");
  };
  const before = (at) => model.samples.filter((sample) => sample.at <= at).at(-1);
  chart.addEventListener("pointerleave", hide);
  chart.addEventListener("pointermove", (event) => {
    const box = chart.getBoundingClientRect();
    const width = chart.viewBox.baseVal.width;
    const x = ((event.clientX - box.left) / box.width) * width;
    const at = Number(start) + ((x - left) / (width - left - right)) * (end - start);
    const sample = before(at);
    if (at < start || at > end || !sample) return hide();
    cross.setAttribute("x1", x);
    cross.setAttribute("x2", x);
    cross.setAttribute("visibility", "visible");
    const second = before(at - 1);
    const lines = Object.keys(sample.requests).map((version) => {
      const rate = sample.requests[version] - (second?.requests[version] ?? 0);
      return `version ${version}   ${String(sample.shares[version] ?? 0).padStart(3)} %   ${rate} answers/s`;
    });
    tip.textContent = [`${at.toFixed(1)} s`, ...lines, `failed at callers so far: ${sample.failed}`].join("\n");
    tip.hidden = false;
    const room = window.innerWidth - event.clientX > tip.offsetWidth + 24;
    tip.style.left = `${room ? event.clientX + 14 : event.clientX - tip.offsetWidth - 14}px`;
    tip.style.top = `${Math.min(event.clientY + 14, window.innerHeight - tip.offsetHeight - 8)}px`;
  });
}
