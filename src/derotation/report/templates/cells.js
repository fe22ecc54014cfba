"use strict";
// Asks a cell: its trace over time, its samples by angle and by velocity, its mean by angle beside
// that of its surroundings. From the traces of cells where there are any, else from the place that
// was clicked in the player's own frames.
const Cells = (function () {
  // Equal sectors of a turn.
  const SECTORS = 24;
  // A place is so many pixels of the player's frames wide, in each direction from its middle.
  const RADIUS = 2;
  const MEAN = 480;
  // Bins of velocity, of which a mean needs so many samples.
  const BINS = 11;
  const FEWEST = 3;
  // Outlines lie on a picture, which is dark on any screen.
  const OUTLINES = { cell: "#56b4e9", tuned: "#2fc196", asked: "#e69f00" };

  class Cells {
    // `section` is the element, `player` the session's player, `cells` what cells.npz held or null.
    constructor(section, player, cells) {
      this.section = section;
      this.player = player;
      this.data = player.data;
      this.cells = cells;
      this.find = (name) => section.querySelector("." + name);
      this.canvas = this.find("mean");
      this.asked = null;
      this.find("source").textContent = cells
        ? "Traces of " + cells.names.length + " cells" +
          (cells.every > 1 ? ", one of every " + cells.every + " samples" : "") +
          ": " + cells.value + ", each sample at its own angle."
        : "The step measure_cells made no traces of cells in this session (setting cells.rois), so nothing is " +
          "known of their tuning. What is shown is read from the " +
          player.n + " frames of the player: the mean of " + (2 * RADIUS + 1) * this.data.scale +
          " × " + (2 * RADIUS + 1) * this.data.scale + " pixels at the place that you click, as the " +
          "frames of the page have it. Enough to see what belongs to the angle; not to be measured with.";
      if (cells) this.list();
      this.canvas.addEventListener("click", (event) => this.click(event));
      this.canvas.addEventListener("keydown", (event) => this.key(event));
      new ResizeObserver(() => this.answer()).observe(section);
      const time = player.data.path.time_s;
      const all = Plots.extent(time);
      this.seen = {
        x: all, all, valueAt: (x) => x, redraw: () => this.answer(),
        pick: (value) => player.seen.pick(value),
      };
      Plots.zoomable(this.find("over-time"), this.seen);
      player.listeners.push(() => this.drawTime());
      Player.picture(this.data.mean.uri).then((image) => {
        this.image = image;
        this.drawMean();
      });
    }

    // What a cell is tuned to, in a few words; empty if to nothing, or if that is not known.
    tunedTo(k) {
      const { follows } = this.cells;
      if (!follows) return "";
      return ["angle", "velocity"].filter((what) => follows[what].tuned[k]).map((what) =>
        what + ", q = " + written(follows[what].q[k])).join("; ");
    }

    // A menu of the cells, the tuned ones first: for those who know a cell's number.
    list() {
      const { names, follows } = this.cells;
      const menu = this.find("which-cell");
      const groups = { tuned: [], other: [] };
      names.forEach((name, k) => {
        const tuned = this.tunedTo(k);
        groups[tuned ? "tuned" : "other"].push(new Option("cell " + name + (tuned ? ": " + tuned : ""), k));
      });
      const group = function (label, options) {
        const element = document.createElement("optgroup");
        element.label = label + " (" + options.length + ")";
        element.append(...options);
        return element;
      };
      if (follows) menu.append(group("tuned", groups.tuned), group("others", groups.other));
      else menu.append(...groups.other);
      menu.addEventListener("change", () => {
        if (menu.value !== "") this.ask(this.cells.x[menu.value], this.cells.y[menu.value], Number(menu.value));
      });
      menu.closest("p").hidden = !names.length;
      this.find("keys").hidden = !names.length;
      if (!follows) this.find("key.tuned").hidden = true;
    }

    // Places in the mean image's canvas, from pixels of the movie and back.
    get zoom() {
      return this.canvas.width / (this.image.width * this.data.mean.scale);
    }

    drawMean() {
      if (!this.image) return;
      this.canvas.width = MEAN;
      this.canvas.height = Math.round((MEAN * this.image.height) / this.image.width);
      const pen = this.canvas.getContext("2d");
      pen.drawImage(this.image, 0, 0, this.canvas.width, this.canvas.height);
      if (this.cells) this.drawOutlines(pen);
      if (this.asked && this.asked.cell === null) {
        const [x, y] = [(this.asked.x + 0.5) * this.zoom, (this.asked.y + 0.5) * this.zoom];
        const half = (RADIUS + 0.5) * this.data.scale * this.zoom;
        pen.strokeStyle = Plots.COLORS.orange;
        pen.lineWidth = 2;
        pen.strokeRect(x - half, y - half, 2 * half, 2 * half);
      }
    }

    // Draw the edges of the cells' masks, that of the one asked over the others.
    drawOutlines(pen) {
      const asked = this.asked ? this.asked.cell : null;
      const outline = (k, color, width) => {
        pen.strokeStyle = color;
        pen.lineWidth = width / this.zoom;
        pen.stroke(this.edges[k]);
      };
      this.edges = this.edges || this.cells.names.map((_, k) => this.edge(k));
      pen.save();
      pen.scale(this.zoom, this.zoom);
      this.edges.forEach((_, k) => {
        const tuned = this.tunedTo(k) !== "";
        if (k !== asked) outline(k, tuned ? OUTLINES.tuned : OUTLINES.cell, tuned ? 2 : 1);
      });
      if (asked !== null) outline(asked, OUTLINES.asked, 3);
      pen.restore();
    }

    // The edge of a cell's mask, in pixels of the movie; of one without a mask a circle.
    edge(k) {
      const path = new Path2D();
      const pixels = this.pixelsOf(k);
      if (!pixels.length) path.arc(this.cells.x[k] + 0.5, this.cells.y[k] + 0.5, 5, 0, 7);
      const own = new Set(pixels.map(([x, y]) => x + "," + y));
      for (const [x, y] of pixels) {
        const side = function (dx, dy, x0, y0, x1, y1) {
          if (own.has(x + dx + "," + (y + dy))) return;
          path.moveTo(x0, y0);
          path.lineTo(x1, y1);
        };
        side(-1, 0, x, y, x, y + 1);
        side(1, 0, x + 1, y, x + 1, y + 1);
        side(0, -1, x, y, x + 1, y);
        side(0, 1, x, y + 1, x + 1, y + 1);
      }
      return path;
    }

    // The pixels of a cell's mask, which is kept as rows: row, first column, number of pixels.
    pixelsOf(k) {
      const rows = this.cells.outline[k];
      const pixels = [];
      for (let i = 0; i < rows.length; i += 3) {
        for (let x = rows[i + 1]; x < rows[i + 1] + rows[i + 2]; x++) pixels.push([x, rows[i]]);
      }
      return pixels;
    }

    // The cell at a place: one whose mask holds it, else the nearest one.
    cellAt(x, y) {
      const far = this.cells.x.map((cx, k) => Math.hypot(cx - x, this.cells.y[k] - y));
      const nearest = (among) => among.reduce((best, k) => (far[k] < far[best] ? k : best), among[0]);
      const all = far.map((_, k) => k);
      const [column, row] = [Math.round(x), Math.round(y)];
      const holding = all.filter((k) => this.pixelsOf(k).some((p) => p[0] === column && p[1] === row));
      return nearest(holding.length ? holding : all);
    }

    click(event) {
      const box = this.canvas.getBoundingClientRect();
      const size = this.canvas.width / box.width / this.zoom;
      this.ask((event.clientX - box.left) * size - 0.5, (event.clientY - box.top) * size - 0.5);
    }

    // Without a mouse: from cell to cell, or the place by a few pixels.
    key(event) {
      const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
      const move = moves[event.key];
      if (!move) return;
      event.preventDefault();
      if (this.cells && this.cells.names.length) {
        const n = this.cells.names.length;
        const next = ((this.asked ? this.asked.cell : -1) + move[0] + move[1] + n) % n;
        this.ask(this.cells.x[next], this.cells.y[next], next);
        return;
      }
      const middle = (this.image.width * this.data.mean.scale) / 2;
      const from = this.asked || { x: middle, y: middle };
      const far = 2 * this.data.scale;
      this.ask(from.x + far * move[0], from.y + far * move[1]);
    }

    // Ask a cell, that at a place of the movie, in pixels, unless it is named; or the place itself.
    async ask(x, y, named) {
      const cell = !this.cells || !this.cells.names.length ? null : named ?? this.cellAt(x, y);
      await this.readFrames();
      this.asked = { x, y, cell };
      this.samples = cell === null ? this.samplesAt(x, y) : this.samplesOf(cell);
      this.light = cell === null
        ? this.surroundings(x, y)
        : this.surroundings(this.cells.x[cell], this.cells.y[cell]);
      this.find("answers").hidden = false;
      this.find("asked").textContent = cell === null
        ? "The place at x = " + x.toFixed(0) + ", y = " + y.toFixed(0) + " px. Click another one."
        : "Cell " + this.cells.names[cell] + " at x = " + this.cells.x[cell].toFixed(0) + ", y = " +
          this.cells.y[cell].toFixed(0) + " px. Click another one.";
      if (cell !== null) this.find("which-cell").value = cell;
      this.answer();
    }

    // Read the derotated frames' pixels once.
    async readFrames() {
      if (this.pixels) return;
      await this.player.ready;
      const sheet = this.player.derotated;
      const canvas = document.createElement("canvas");
      canvas.width = sheet.width;
      canvas.height = sheet.height;
      const pen = canvas.getContext("2d", { willReadFrequently: true });
      pen.drawImage(sheet, 0, 0);
      const colors = pen.getImageData(0, 0, sheet.width, sheet.height).data;
      const { width, height, columns } = this.data;
      this.pixels = this.data.frame.map(function (_, k) {
        const [left, top] = [(k % columns) * width, Math.floor(k / columns) * height];
        const frame = new Uint8Array(width * height);
        for (let y = 0; y < height; y++) {
          const row = (top + y) * sheet.width + left;
          for (let x = 0; x < width; x++) frame[y * width + x] = colors[4 * (row + x)];
        }
        return frame;
      });
      this.masks = bits(this.data.seen.bits);
    }

    // Whether a pixel of the player's frame k was seen.
    saw(k, x, y) {
      const { seen, scale } = this.data;
      const column = Math.min(Math.floor((x * scale) / seen.scale), seen.width - 1);
      const row = Math.min(Math.floor((y * scale) / seen.scale), seen.height - 1);
      const place = (k * seen.height + row) * seen.width + column;
      return ((this.masks[place >> 3] >> (7 - (place & 7))) & 1) === 1;
    }

    // How bright the surroundings of a place are in each frame, in units of what the other frames
    // show in the pixels that were seen. What lies side by side passes through the same light.
    surroundings(x, y) {
      const { width, height, scale } = this.data;
      const [cx, cy] = [(x + 0.5) / scale - 0.5, (y + 0.5) / scale - 0.5];
      const [near, far] = [width / 24 + RADIUS, width / 5];
      const places = [];
      for (let row = Math.ceil(cy - far); row <= cy + far; row += 2) {
        for (let column = Math.ceil(cx - far); column <= cx + far; column += 2) {
          const distance = Math.hypot(column - cx, row - cy);
          const within = row >= 0 && column >= 0 && row < height && column < width;
          if (within && distance >= near && distance <= far) places.push([column, row]);
        }
      }
      const found = this.pixels.map(() => 0);
      const expected = this.pixels.map(() => 0);
      for (const [column, row] of places) {
        const seen = this.pixels.map((_, k) => this.saw(k, column, row));
        const values = this.pixels.map((frame) => frame[row * width + column]);
        const n = seen.filter(Boolean).length;
        const mean = values.reduce((sum, value, k) => sum + (seen[k] ? value : 0), 0) / Math.max(n, 1);
        values.forEach(function (value, k) {
          if (!seen[k]) return;
          found[k] += value;
          expected[k] += mean;
        });
      }
      return found.map((value, k) => (expected[k] > 0 ? value / expected[k] : null));
    }

    samplesAt(x, y) {
      const { width, height, scale, low, high, time_s, angle_deg, velocity_deg_per_s } = this.data;
      const [cx, cy] = [Math.floor((x + 0.5) / scale), Math.floor((y + 0.5) / scale)];
      const value = this.pixels.map((frame, k) => {
        let [sum, n] = [0, 0];
        for (let row = cy - RADIUS; row <= cy + RADIUS; row++) {
          for (let column = cx - RADIUS; column <= cx + RADIUS; column++) {
            if (row < 0 || column < 0 || row >= height || column >= width) continue;
            if (!this.saw(k, column, row)) return null;
            sum += frame[row * width + column];
            n += 1;
          }
        }
        return n ? low + ((sum / n) * (high - low)) / 255 : null;
      });
      return { value, time: time_s, angle: angle_deg, velocity: velocity_deg_per_s,
        label: "gray values" };
    }

    samplesOf(cell) {
      return {
        value: numbers(this.cells.samples[cell], 2), time: this.cells.time_s,
        angle: numbers(this.cells.angle[cell], 1), velocity: numbers(this.cells.velocity[cell], 1),
        label: this.cells.value,
      };
    }

    answer() {
      this.drawMean();
      if (!this.asked) return;
      this.drawTime();
      const { value, angle, velocity, label } = this.samples;
      const turn = angle.map((a) => (a === null ? null : ((a % 360) + 360) % 360));
      const bySector = sectors(turn, value);
      const middles = bySector.map((_, k) => (k * 360) / SECTORS);
      Plots.draw(this.find("by-angle"), {
        height: 220, xLabel: "angle (°)", yLabel: label, x: [-8, 368], steps: [45, 90, 180],
        series: [
          { x: turn, y: value, color: Plots.COLORS.dot, dots: true },
          { x: middles, y: bySector, color: Plots.COLORS.orange, width: 2 },
        ],
      });
      const [slow, fast] = Plots.extent(velocity);
      const margin = 0.04 * (fast - slow);
      const byVelocity = binned(velocity, value, slow, fast);
      Plots.draw(this.find("by-velocity"), {
        height: 220, xLabel: "velocity (°/s)", yLabel: label, x: [slow - margin, fast + margin],
        series: [
          { x: velocity, y: value, color: Plots.COLORS.dot, dots: true },
          { x: byVelocity.map((_, k) => slow + ((k + 0.5) * (fast - slow)) / BINS), y: byVelocity,
            color: Plots.COLORS.orange, width: 2 },
        ],
      });
      this.drawPolar(bySector);
    }

    drawTime() {
      if (!this.asked) return;
      const { value, time, label } = this.samples;
      const drawn = Plots.draw(this.find("over-time"), {
        height: 190, xLabel: "time (s); shaded: rotations; ticks below: not seen", yLabel: label,
        x: this.seen.x, bands: this.data.rotations, cursor: this.data.time_s[this.player.k],
        rug: time.filter((_, k) => value[k] === null),
        series: [
          { x: time, y: value, color: Plots.COLORS.curve },
          { x: time, y: value, color: Plots.COLORS.dot, dots: true },
        ],
      });
      this.seen.valueAt = drawn.valueAt;
    }

    // The cell's mean by angle beside that of its surroundings, both in units of their own mean,
    // and in words whether one follows the other.
    drawPolar(bySector) {
      const { angle_deg } = this.data;
      const turn = angle_deg.map((a) => (a === null ? null : ((a % 360) + 360) % 360));
      const light = relative(sectors(turn, this.light));
      // Of dF/F the mean is near 0: what it adds to its baseline can be compared with light.
      const own = relative(this.samples.label === "dF/F"
        ? bySector.map((v) => (v === null ? null : 1 + v))
        : bySector);
      Plots.polar(this.find("polar"), {
        height: 220,
        series: [
          { values: light, color: Plots.COLORS.soft, dashed: true },
          { values: own, color: Plots.COLORS.orange },
        ],
      });
      this.find("tuning").textContent = this.asked.cell === null
        ? "" : tuning(this.cells.follows, this.asked.cell);
      const { cell } = this.asked;
      const angle = cell !== null && this.cells.follows ? this.cells.follows.angle : null;
      const untuned = angle !== null && angle.q[cell] !== null && !angle.tuned[cell] && !angle.light[cell];
      this.find("verdict").textContent = said(own, light, this.samples.value, untuned);
    }
  }

  // A probability as a person reads it.
  function written(q) {
    return q >= 0.1 ? q.toFixed(2) : q >= 0.001 ? Number(q.toPrecision(1)).toString() : "below 0.001";
  }

  // What the step measure_cells found of a cell.
  function tuning(follows, k) {
    if (!follows) return "Whether it is tuned is not known: there is no cells.csv.";
    const sentence = function (what, name, most) {
      const { tuned, light, why, q, variance } = follows[what];
      if (q[k] === null) return "Whether it is tuned to " + name + " cannot be told from this session: " + why[k] + ".";
      const stated = "q = " + written(q[k]).replace(/^below /, "< ");
      if (light[k]) return "Not tuned to " + name + ": what looks like it (" + stated + ") is brightness that its surroundings share.";
      if (tuned[k]) {
        return "Tuned to " + name + " (" + stated + "): " + most(follows[what], k) + "; it foretells " +
          Math.round(100 * variance[k]) + " % of the variance in rotations that were left out.";
      }
      return "Not tuned to " + name + " (" + stated + "): " + why[k] + ".";
    };
    return [
      sentence("angle", "the angle", ({ peak }, n) => "most active at " + Math.round(peak[n]) + "°"),
      sentence("velocity", "the angular velocity", function ({ slope, speed }, n) {
        const either = Math.abs(speed[n]) > Math.abs(slope[n]);
        const change = either ? speed[n] : slope[n];
        return (change >= 0 ? "+" : "−") + Math.abs(change).toPrecision(2) + " dF/F at 100°/s" +
          (either ? " in either direction" : "");
      }),
    ].join(" ");
  }

  // What the eye sees in the polar plot, of a cell that is not known to be untuned.
  function said(own, light, value, untuned) {
    const seen = value.filter((v) => v !== null).length;
    const share = "Seen in " + Math.round((100 * seen) / value.length) + " % of its samples. ";
    const both = own.map((v, k) => [v, light[k]]).filter(([a, b]) => a !== null && b !== null);
    if (both.length < 8) return share + "Too few angles are known to compare it with its surroundings.";
    const r = correlation(both);
    const swing = (values) => {
      const [low, high] = Plots.extent(values);
      return Math.round(100 * (high - low));
    };
    const swings = "By angle its mean swings by " + swing(own) + " % (orange), that of its surroundings by " +
      swing(light) + " % (dashed), r = " + r.toFixed(2) + ": ";
    if (untuned) return share + swings + "too little, or too seldom the same, to be told from chance.";
    if (r < 0.3) return share + swings + "it does not go with the light around it.";
    if (swing(own) > 3 * swing(light)) return share + swings + "more than the light around it tells.";
    if (r > 0.7) return share + swings + "it goes with its surroundings: most likely the light.";
    return share + swings + "it may be the light in part.";
  }

  function correlation(pairs) {
    const mean = (k) => pairs.reduce((sum, pair) => sum + pair[k], 0) / pairs.length;
    const [a, b] = [mean(0), mean(1)];
    let [ab, aa, bb] = [0, 0, 0];
    for (const [x, y] of pairs) {
      ab += (x - a) * (y - b);
      aa += (x - a) ** 2;
      bb += (y - b) ** 2;
    }
    return aa > 0 && bb > 0 ? ab / Math.sqrt(aa * bb) : 0;
  }

  // Mean of the values in bins of a velocity; null where there are too few.
  function binned(velocity, values, low, high) {
    const sums = Array.from({ length: BINS }, () => [0, 0]);
    velocity.forEach(function (v, k) {
      if (v === null || values[k] === null) return;
      const bin = sums[Math.min(Math.floor((BINS * (v - low)) / (high - low)), BINS - 1)];
      bin[0] += values[k];
      bin[1] += 1;
    });
    return sums.map(([sum, n]) => (n >= FEWEST ? sum / n : null));
  }

  // Mean of the values in each sector of the turn; null where there is none.
  function sectors(degrees, values) {
    const sums = Array.from({ length: SECTORS }, () => [0, 0]);
    degrees.forEach(function (angle, k) {
      if (angle === null || values[k] === null) return;
      const sector = sums[Math.round((angle * SECTORS) / 360) % SECTORS];
      sector[0] += values[k];
      sector[1] += 1;
    });
    return sums.map(([sum, n]) => (n ? sum / n : null));
  }

  function relative(values) {
    const known = values.filter((v) => v !== null);
    const mean = known.reduce((a, b) => a + b, 0) / known.length;
    return values.map((v) => (v === null || !mean ? null : v / mean));
  }

  function bits(text) {
    return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  }

  // Numbers that were packed as whole ones of one byte or two; the least one is not known.
  function numbers(packed, bytes) {
    const { buffer } = bits(packed.data);
    const whole = bytes === 1 ? new Int8Array(buffer) : new Int16Array(buffer);
    const unknown = bytes === 1 ? -128 : -32768;
    return Array.from(whole, (value) => (value === unknown ? null : value * packed.unit));
  }

  return { Cells };
})();
