"use strict";
// Small plots on a canvas: curves and dots over an axis, and values around a circle. Times and
// angles that are not known are null, and leave a gap.
const Plots = (function () {
  const MARGIN = { left: 56, right: 16, top: 10, bottom: 36 };
  // Those of the page's style, which differ between a light screen and a dark one.
  const COLORS = {};
  for (const name of ["ink", "soft", "line", "paper", "band", "curve", "dot", "orange", "red"]) {
    Object.defineProperty(COLORS, name, {
      get: () => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim(),
    });
  }

  // Make a canvas sharp on any screen; drawing is in CSS pixels from then on.
  function prepare(canvas, height) {
    const width = Math.max(canvas.clientWidth, 120);
    const fine = window.devicePixelRatio || 1;
    canvas.style.height = height + "px";
    canvas.width = Math.round(width * fine);
    canvas.height = Math.round(height * fine);
    const pen = canvas.getContext("2d");
    pen.setTransform(fine, 0, 0, fine, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.font = "12px system-ui, sans-serif";
    return { pen, width, height };
  }

  function extent(values) {
    let low = Infinity, high = -Infinity;
    for (const value of values) {
      if (value === null || !Number.isFinite(value)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    if (low > high) return [0, 1];
    return low === high ? [low - 0.5, high + 0.5] : [low, high];
  }

  // Cut a curve where it jumps by more than `most`.
  function withoutJumps(values, most) {
    return values.map((value, k) =>
      k > 0 && value !== null && values[k - 1] !== null && Math.abs(value - values[k - 1]) > most
        ? null : value);
  }

  // Round numbers between two ends: steps of 1, 2 or 5 times a power of ten, or parts of a turn.
  function ticks(low, high, n, steps) {
    const rough = (high - low) / n;
    const power = Math.pow(10, Math.floor(Math.log10(rough)));
    const round = steps || [power / 2, power, 2 * power, 5 * power, 10 * power];
    const wanted = round.findIndex((s) => s >= rough);
    const chosen = wanted < 0 ? round.length - 1 : wanted;
    // A single mark tells no scale: then the next smaller steps are tried.
    for (let which = chosen; ; which--) {
      const step = round[which];
      const found = [];
      for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) found.push(k * step);
      if (found.length > 1 || which === 0) return found;
    }
  }

  function written(value, step) {
    const digits = Math.max(0, Math.min(6, Math.ceil(-Math.log10(step) - 1e-9)));
    return value.toFixed(digits).replace(/^-(0(\.0*)?)$/, "$1");
  }

  // Draw `series` over an axis. What is drawn: {height, xLabel, yLabel, x: [low, high], steps,
  // ySteps, bands: [[from, to]], series: [{x, y, color, dots}], rug: [x], cursor: x}. Returns what turns
  // a place in the canvas into a value of x, and back.
  function draw(canvas, content) {
    const { pen, width, height } = prepare(canvas, content.height);
    const box = {
      left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top, bottom: height - MARGIN.bottom,
    };
    const [x0, x1] = content.x;
    const inside = (x) => x !== null && x >= x0 && x <= x1;
    const shown = content.series.flatMap((s) => s.y.filter((_, k) => inside(s.x[k])));
    let [y0, y1] = extent(shown);
    const margin = 0.06 * (y1 - y0);
    y0 -= margin;
    y1 += margin;
    const toX = (x) => box.left + ((x - x0) / (x1 - x0)) * (box.right - box.left);
    const toY = (y) => box.bottom - ((y - y0) / (y1 - y0)) * (box.bottom - box.top);

    pen.save();
    pen.beginPath();
    pen.rect(box.left - 1, 0, box.right - box.left + 2, box.bottom);
    pen.clip();
    pen.fillStyle = COLORS.band;
    for (const [from, to] of content.bands || []) {
      pen.fillRect(toX(from), box.top, Math.max(toX(to) - toX(from), 1), box.bottom - box.top);
    }
    pen.strokeStyle = COLORS.soft;
    pen.beginPath();
    for (const x of content.rug || []) {
      pen.moveTo(toX(x), box.bottom);
      pen.lineTo(toX(x), box.bottom - 6);
    }
    pen.stroke();
    for (const series of content.series) (series.dots ? dots : curve)(pen, series, toX, toY);
    if (content.cursor !== undefined && content.cursor !== null) {
      pen.strokeStyle = COLORS.red;
      pen.lineWidth = 2;
      pen.beginPath();
      pen.moveTo(toX(content.cursor), box.top);
      pen.lineTo(toX(content.cursor), box.bottom);
      pen.stroke();
    }
    pen.restore();
    axes(pen, box, content, { x0, x1, y0, y1, toX, toY });
    return {
      valueAt: (place) => x0 + ((place - box.left) / (box.right - box.left)) * (x1 - x0),
      placeOf: toX,
    };
  }

  function curve(pen, series, toX, toY) {
    pen.strokeStyle = series.color;
    pen.lineWidth = series.width || 1.2;
    pen.beginPath();
    let drawing = false;
    series.x.forEach(function (x, k) {
      const y = series.y[k];
      if (x === null || y === null || !Number.isFinite(y)) {
        drawing = false;
        return;
      }
      if (drawing) pen.lineTo(toX(x), toY(y));
      else pen.moveTo(toX(x), toY(y));
      drawing = true;
    });
    pen.stroke();
  }

  function dots(pen, series, toX, toY) {
    pen.fillStyle = series.color;
    series.x.forEach(function (x, k) {
      const y = series.y[k];
      if (x === null || y === null || !Number.isFinite(y)) return;
      pen.fillRect(toX(x) - 1.5, toY(y) - 1.5, 3, 3);
    });
  }

  function axes(pen, box, content, scale) {
    pen.strokeStyle = COLORS.soft;
    pen.lineWidth = 1;
    pen.strokeRect(box.left, box.top, box.right - box.left, box.bottom - box.top);
    pen.fillStyle = COLORS.ink;
    pen.textAlign = "center";
    const wide = Math.max(Math.floor((box.right - box.left) / 80), 2);
    const alongX = ticks(scale.x0, scale.x1, wide, content.steps);
    const stepX = alongX.length > 1 ? alongX[1] - alongX[0] : 1;
    for (const x of alongX) {
      pen.fillText(written(x, stepX), scale.toX(x), box.bottom + 14);
      pen.beginPath();
      pen.moveTo(scale.toX(x), box.bottom);
      pen.lineTo(scale.toX(x), box.bottom + 3);
      pen.stroke();
    }
    pen.fillText(content.xLabel, (box.left + box.right) / 2, box.bottom + 30);
    pen.textAlign = "right";
    const high = Math.max(Math.floor((box.bottom - box.top) / 30), 2);
    const alongY = ticks(scale.y0, scale.y1, high, content.ySteps);
    const stepY = alongY.length > 1 ? alongY[1] - alongY[0] : 1;
    for (const y of alongY) pen.fillText(written(y, stepY), box.left - 5, scale.toY(y) + 4);
    pen.save();
    pen.translate(11, (box.top + box.bottom) / 2);
    pen.rotate(-Math.PI / 2);
    pen.textAlign = "center";
    pen.fillText(content.yLabel, 0, 0);
    pen.restore();
  }

  // Draw closed curves around a circle, 0 degrees on top, clockwise: {height, series: [{values,
  // color, dashed}]}, each with as many values as there are equal sectors; null leaves a gap.
  function polar(canvas, content) {
    const { pen, width, height } = prepare(canvas, content.height);
    const middle = { x: width / 2, y: height / 2 };
    const reach = Math.min(width, height) / 2 - 22;
    const top = Math.max(...content.series.flatMap((s) => s.values.map((v) => v || 0)), 1e-9);
    const place = function (degrees, value) {
      const angle = (degrees * Math.PI) / 180;
      const far = (Math.max(value, 0) / top) * reach;
      return [middle.x + far * Math.sin(angle), middle.y - far * Math.cos(angle)];
    };
    pen.strokeStyle = COLORS.line;
    for (const part of [0.5, 1]) {
      pen.beginPath();
      pen.arc(middle.x, middle.y, part * reach, 0, 2 * Math.PI);
      pen.stroke();
    }
    pen.fillStyle = COLORS.soft;
    pen.textAlign = "center";
    for (const degrees of [0, 90, 180, 270]) {
      const [x, y] = place(degrees, top * (1 + 15 / reach));
      pen.fillText(degrees + "°", x, y + 4);
    }
    for (const series of content.series) {
      pen.strokeStyle = series.color;
      pen.lineWidth = 2;
      pen.setLineDash(series.dashed ? [5, 4] : []);
      pen.beginPath();
      const n = series.values.length;
      let drawing = false;
      for (let k = 0; k <= n; k++) {
        const value = series.values[k % n];
        if (value === null) {
          drawing = false;
          continue;
        }
        const [x, y] = place(((k % n) * 360) / n, value);
        if (drawing) pen.lineTo(x, y);
        else pen.moveTo(x, y);
        drawing = true;
      }
      pen.stroke();
    }
    pen.setLineDash([]);
    // What the circles stand for, on a ground of its own: curves pass there.
    pen.textAlign = "center";
    for (const part of [0.5, 1]) {
      const [x, y] = place(45, part * top);
      const text = (part * top).toPrecision(2);
      const wide = pen.measureText(text).width + 4;
      pen.fillStyle = COLORS.paper;
      pen.fillRect(x - wide / 2, y - 7, wide, 14);
      pen.fillStyle = COLORS.soft;
      pen.fillText(text, x, y + 4);
    }
  }

  // Let a person choose the part of x that a plot shows: `seen` is {x, all, redraw, pick}. A click
  // picks a place, a drag makes its part larger, a double click shows all again.
  function zoomable(canvas, seen) {
    let from = null;
    const at = (event) => seen.valueAt(event.clientX - canvas.getBoundingClientRect().left);
    canvas.addEventListener("pointerdown", function (event) {
      from = at(event);
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointerup", function (event) {
      if (from === null) return;
      const to = at(event);
      if (Math.abs(to - from) < 0.02 * (seen.x[1] - seen.x[0])) seen.pick(to);
      else {
        seen.x = [Math.min(from, to), Math.max(from, to)];
        seen.redraw();
      }
      from = null;
    });
    canvas.addEventListener("dblclick", function () {
      seen.x = seen.all;
      seen.redraw();
    });
  }

  return { COLORS, draw, polar, extent, withoutJumps, zoomable };
})();
