"use strict";
// Plays a session: some of its frames, as recorded and derotated, side by side or wiped over each
// other, above the curve of the angle. `player.json` of the session says what there is.
const Player = (function () {
  const GAP = 8;
  const PANEL = 480;

  class Player {
    // `section` is the element, `data` what player.json says.
    constructor(section, data) {
      this.section = section;
      this.data = data;
      this.n = data.frame.length;
      this.k = 0;
      this.wiped = 0.5;
      this.playing = false;
      this.ready = Promise.all([picture(data.raw), picture(data.derotated)]);
      this.find = (name) => section.querySelector("." + name);
      this.canvas = this.find("frames");
      this.listeners = [];
      const path = data.path;
      const all = Plots.extent(path.time_s);
      this.seen = {
        x: all, all, valueAt: (x) => x, redraw: () => this.drawAngle(),
        pick: (time) => this.show(nearest(data.time_s, time)),
      };
      this.find("which").textContent =
        this.n + " moments of the session: spread over its time and its angles, and one turn in full.";
      this.listen();
      this.ready.then(([raw, derotated]) => {
        this.raw = raw;
        this.derotated = derotated;
        this.layOut();
      });
    }

    listen() {
      const on = (name, event, act) => this.find(name).addEventListener(event, act);
      on("play", "click", () => this.play(!this.playing));
      on("back", "click", () => this.step(-1));
      on("on", "click", () => this.step(1));
      const scrub = this.find("scrub");
      scrub.max = this.n - 1;
      on("scrub", "input", () => {
        this.play(false);
        this.show(Number(scrub.value));
      });
      on("view", "change", () => this.layOut());
      on("wipe", "input", () => this.wipeTo(this.find("wipe").value / 1000));
      const wipeWith = (event) => {
        const box = this.canvas.getBoundingClientRect();
        if (this.wiping() && event.buttons) this.wipeTo((event.clientX - box.left) / box.width);
      };
      this.canvas.addEventListener("pointerdown", (event) => {
        this.canvas.setPointerCapture(event.pointerId);
        wipeWith(event);
      });
      this.canvas.addEventListener("pointermove", wipeWith);
      this.section.addEventListener("keydown", (event) => this.key(event));
      Plots.zoomable(this.find("angle"), this.seen);
      new ResizeObserver(() => this.layOut()).observe(this.section);
    }

    key(event) {
      // Menus and sliders have keys of their own.
      const own = event.target.matches("select, input");
      if (event.ctrlKey || event.metaKey || event.altKey || own) return;
      const acts = {
        " ": () => this.play(!this.playing),
        ArrowLeft: () => this.step(-1),
        ArrowRight: () => this.step(1),
        Home: () => this.show(0),
        End: () => this.show(this.n - 1),
        "+": () => this.faster(1),
        "-": () => this.faster(-1),
        w: () => {
          this.find("view").value = this.wiping() ? "beside" : "wipe";
          this.layOut();
        },
        "[": () => this.wipeTo(this.wiped - 0.05),
        "]": () => this.wipeTo(this.wiped + 0.05),
      };
      // A button that has the focus is pressed by the space bar anyway.
      if (!(event.key in acts) || (event.key === " " && event.target.matches("button"))) return;
      event.preventDefault();
      acts[event.key]();
    }

    faster(change) {
      const speed = this.find("speed");
      const last = speed.options.length - 1;
      speed.selectedIndex = Math.min(Math.max(speed.selectedIndex + change, 0), last);
    }

    wiping() {
      return this.find("view").value === "wipe";
    }

    wipeTo(part) {
      this.wiped = Math.min(Math.max(part, 0), 1);
      this.find("wipe").value = Math.round(1000 * this.wiped);
      this.drawFrame();
    }

    play(on) {
      if (on === this.playing) return;
      this.playing = on;
      this.find("play").textContent = on ? "❚❚ Pause" : "▶ Play";
      let last = performance.now();
      const next = (now) => {
        if (!this.playing || !this.section.isConnected) return;
        // A session that was folded goes on only when it is opened again.
        if (this.section.offsetParent === null) return this.play(false);
        const pause = 1000 / Number(this.find("speed").value);
        if (now - last >= pause) {
          // Slow screens leave frames out rather than time.
          const frames = Math.floor((now - last) / pause);
          last += frames * pause;
          this.show((this.k + frames) % this.n);
        }
        requestAnimationFrame(next);
      };
      if (on) requestAnimationFrame(next);
    }

    step(by) {
      this.play(false);
      this.show(Math.min(Math.max(this.k + by, 0), this.n - 1));
    }

    show(k) {
      this.k = k;
      this.find("scrub").value = k;
      const { frame, time_s, angle_deg, velocity_deg_per_s } = this.data;
      const angle = angle_deg[k] === null ? "angle not known" : angle_deg[k].toFixed(1) + "°";
      const speed = velocity_deg_per_s[k];
      const moving = speed ? ", " + speed.toFixed(0) + "°/s" : "";
      this.find("now").textContent =
        "Frame " + frame[k] + " · " + time_s[k].toFixed(2) + " s · " + angle + moving +
        " · " + (k + 1) + " of the " + this.n + " shown";
      this.drawFrame();
      this.drawAngle();
      for (const listener of this.listeners) listener(k);
    }

    // Fit the canvases to the page, and draw.
    layOut() {
      if (!this.raw) return;
      const wiping = this.wiping();
      this.find("wipe").hidden = !wiping;
      this.section.classList.toggle("wiping", wiping);
      const panel = { width: PANEL, height: Math.round((PANEL * this.data.height) / this.data.width) };
      const width = wiping ? panel.width : 2 * panel.width + GAP;
      this.canvas.style.setProperty("--ratio", width / panel.height);
      this.canvas.width = width;
      // Titles stay as large on a narrow screen, where the canvas is shown smaller than it is.
      this.smaller = Math.min(Math.max(width / Math.max(this.canvas.clientWidth, 1), 1), 3);
      this.bar = Math.round(20 * this.smaller);
      this.canvas.height = panel.height + this.bar;
      this.panel = panel;
      this.show(this.k);
    }

    drawFrame() {
      if (!this.raw) return;
      const pen = this.canvas.getContext("2d");
      const { width, height } = this.panel;
      pen.fillStyle = "#000";
      pen.fillRect(0, 0, this.canvas.width, this.canvas.height);
      const angle = ((this.data.angle_deg[this.k] || 0) * Math.PI) / 180;
      if (this.wiping()) {
        const place = Math.round(this.wiped * width);
        this.panelOf(this.derotated, 0, 0, place, width);
        this.panelOf(this.raw, angle, 0, 0, place);
        pen.fillStyle = Plots.COLORS.orange;
        pen.fillRect(place - 1, this.bar, 2, height);
        this.title("as recorded", 4, "left");
        this.title("derotated", width - 4, "right");
      } else {
        this.panelOf(this.raw, angle, 0, 0, width);
        this.panelOf(this.derotated, 0, width + GAP, 0, width);
        this.title("as recorded", 4, "left");
        this.title("derotated", width + GAP + 4, "left");
      }
    }

    title(text, x, side) {
      const pen = this.canvas.getContext("2d");
      pen.fillStyle = "#fff";
      pen.font = 13.5 * this.smaller + "px system-ui, sans-serif";
      pen.textAlign = side;
      pen.fillText(text, x, 0.72 * this.bar);
    }

    // Draw the frame of a sheet at `left`, of it what lies between two places, and the mark that
    // shows where the top of the sample went.
    panelOf(sheet, angle, left, from, to) {
      const pen = this.canvas.getContext("2d");
      const { width, height, columns, center } = this.data;
      const [x, y] = [(this.k % columns) * width, Math.floor(this.k / columns) * height];
      const zoom = this.panel.width / width;
      pen.save();
      pen.beginPath();
      pen.rect(left + from, this.bar, to - from, this.panel.height);
      pen.clip();
      pen.drawImage(sheet, x, y, width, height, left, this.bar, this.panel.width, this.panel.height);
      const middle = [left + (center[0] + 0.5) * zoom, this.bar + (center[1] + 0.5) * zoom];
      const reach =
        0.94 * zoom * Math.min(center[0], center[1], width - 1 - center[0], height - 1 - center[1]);
      if (reach > 0) {
        pen.fillStyle = pen.strokeStyle = Plots.COLORS.orange;
        pen.beginPath();
        pen.arc(middle[0] + reach * Math.sin(angle), middle[1] - reach * Math.cos(angle), 5, 0, 7);
        pen.fill();
        pen.fillRect(middle[0] - 5, middle[1] - 0.5, 10, 1);
        pen.fillRect(middle[0] - 0.5, middle[1] - 5, 1, 10);
      }
      pen.restore();
    }

    drawAngle() {
      const { path, rotations, time_s } = this.data;
      const drawn = Plots.draw(this.find("angle"), {
        height: 150, xLabel: "time (s); shaded: rotations", yLabel: "angle (°)", x: this.seen.x,
        ySteps: [1, 5, 10, 45, 90, 180, 360, 720],
        bands: rotations, cursor: time_s[this.k],
        // After a whole turn the angle begins anew: the sample does not turn back.
        series: [{ x: path.time_s, y: Plots.withoutJumps(path.angle_deg, 180), color: Plots.COLORS.ink }],
      });
      this.seen.valueAt = drawn.valueAt;
    }
  }

  async function picture(uri) {
    const image = new Image();
    image.src = uri;
    await image.decode();
    return image;
  }

  function nearest(times, time) {
    let best = 0;
    times.forEach(function (value, k) {
      if (Math.abs(value - time) < Math.abs(times[best] - time)) best = k;
    });
    return best;
  }

  return { Player, picture };
})();
