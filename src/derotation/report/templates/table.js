"use strict";
// Sorts and filters the table of sessions, chooses its columns, saves it, and says what its figures
// mean. Without this script the table can be read all the same.
(function () {
  const table = document.getElementById("sessions");

  if (!table) return;

  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const heads = Array.from(table.tHead.rows[0].cells);

  function keyOf(row, column) {
    const text = row.cells[column].dataset.sort;
    const number = text === "" ? NaN : Number(text);
    return { text: text, number: number };
  }

  function compare(a, b) {
    // What is unknown comes last in both directions.
    if (a.text === "" || b.text === "") return null;
    if (!Number.isNaN(a.number) && !Number.isNaN(b.number)) return a.number - b.number;
    return a.text.localeCompare(b.text, undefined, { numeric: true });
  }

  function sortBy(column, descending) {
    const sorted = rows.slice().sort(function (first, second) {
      const a = keyOf(first, column);
      const b = keyOf(second, column);
      const order = compare(a, b);
      if (order === null) return (a.text === "") - (b.text === "");
      return descending ? -order : order;
    });
    body.replaceChildren(...sorted);
    heads.forEach(function (head, k) {
      if (k === column) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
  }

  heads.forEach(function (head, column) {
    const button = head.querySelector("button");
    if (!button) return;
    button.addEventListener("click", function () {
      sortBy(column, head.getAttribute("aria-sort") === "ascending");
    });
  });

  const search = document.getElementById("search");
  const show = document.getElementById("show");
  const none = document.getElementById("none-shown");
  function filter() {
    const word = search.value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      const wanted = show.value === "" || show.value.split(" ").includes(row.dataset.verdict);
      const visible = wanted && row.textContent.toLowerCase().includes(word);
      row.hidden = !visible;
      const details = document.getElementById("session-" + row.dataset.session);
      if (details) details.hidden = !visible;
      shown += visible;
    }
    none.hidden = shown > 0;
  }
  search.addEventListener("input", filter);
  show.addEventListener("change", filter);

  // Columns are hidden by one rule each: there may be thousands of cells.
  const rules = document.createElement("style");
  document.head.append(rules);
  const off = heads.map((head) => "off" in head.dataset);
  function hideColumns() {
    const hidden = off.map((hide, k) => (hide ? "#sessions tr > :nth-child(" + (k + 1) + ")" : null));
    const chosen = hidden.filter((selector) => selector !== null);
    rules.textContent = chosen.length ? "@media screen { " + chosen.join(",") + "{display:none} }" : "";
  }
  hideColumns();
  const list = document.getElementById("column-list");
  const nameOf = (head) => head.textContent.trim();
  function choice(text, checked, act) {
    const label = document.createElement("label");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = checked;
    box.addEventListener("change", () => act(box.checked));
    label.append(box, " " + text);
    list.append(label);
    return box;
  }
  const boxes = [];
  choice("all", !off.includes(true), function (checked) {
    boxes.forEach(function (box, k) {
      box.checked = checked;
      off[k + 1] = !checked;
    });
    hideColumns();
  });
  // The first one names the row.
  heads.slice(1).forEach(function (head, k) {
    boxes.push(choice(nameOf(head), !off[k + 1], function (checked) {
      off[k + 1] = !checked;
      hideColumns();
    }));
  });

  // All columns of the rows that are shown, in their order, as numbers are known.
  document.getElementById("csv").addEventListener("click", function () {
    const cell = (text) => (/[",\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text);
    const kept = heads.map((_, k) => k).filter((k) => heads[k].dataset.name !== "pictures");
    const flag = heads.findIndex((head) => head.dataset.name === "Flag");
    const said = (row, k) =>
      k === flag ? row.dataset.verdict : row.cells[k].dataset.sort;
    const lines = [kept.map((k) => cell(heads[k].dataset.name))];
    for (const row of body.rows) {
      if (!row.hidden) lines.push(kept.map((k) => cell(said(row, k))));
    }
    const link = document.createElement("a");
    link.download = "sessions.csv";
    link.href = URL.createObjectURL(
      new Blob([lines.map((line) => line.join(",") + "\n").join("")], { type: "text/csv" })
    );
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });

  // What a figure means, beside its name: by the mouse, and by the keyboard.
  const tip = document.getElementById("tip");
  function say(event) {
    const about = event.target.closest && event.target.closest("[data-tip]");
    tip.hidden = !about;
    if (!about) return;
    tip.textContent = about.dataset.tip;
    const box = about.getBoundingClientRect();
    const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
    tip.style.left = Math.max(8, Math.min(box.left, room)) + window.scrollX + "px";
    tip.style.top = box.bottom + 6 + window.scrollY + "px";
  }
  document.addEventListener("mouseover", say);
  document.addEventListener("focusin", say);
  document.addEventListener("keydown", function (event) {
    if (event.key === "Escape") tip.hidden = true;
  });
})();
