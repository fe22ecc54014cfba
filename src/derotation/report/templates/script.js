"use strict";
// Sorts and filters the table of sessions, and opens the session that a link points to. Without
// this script the page can be read all the same.
(function () {
  const table = document.getElementById("sessions");

  function openTarget() {
    const id = decodeURIComponent(location.hash.slice(1));
    const target = id ? document.getElementById(id) : null;
    if (target && target.tagName === "DETAILS") {
      target.open = true;
      target.scrollIntoView();
    }
  }
  window.addEventListener("hashchange", openTarget);
  openTarget();

  for (const [button, open] of [["open-all", true], ["close-all", false]]) {
    const element = document.getElementById(button);
    if (element) {
      element.addEventListener("click", function () {
        for (const session of document.querySelectorAll("details.session")) session.open = open;
      });
    }
  }
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
})();
