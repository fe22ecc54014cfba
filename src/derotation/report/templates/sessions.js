"use strict";
// Makes a session's player when the session is opened for the first time, and opens all sessions
// before they are printed.
(function () {
  const players = new Map();
  // Sessions that are open only to be printed, for which nobody needs a player.
  let folded = [];

  function start(session) {
    const section = session.querySelector("section.player");
    if (!section || players.has(session)) return;
    const read = function (name) {
      const element = session.querySelector("script." + name);
      return element ? JSON.parse(element.textContent) : null;
    };
    const player = new Player.Player(section, read("player-data"));
    const cells = new Cells.Cells(session.querySelector("section.cells"), player, read("cells-data"));
    players.set(session, { player, cells });
    player.ready.catch(function () {
      section.querySelector(".now").textContent = "The frames cannot be read: delete player.json of this session and run again.";
    });
  }

  // The plots are drawn anew when the screen becomes dark or light.
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", function () {
    for (const { player, cells } of players.values()) {
      player.layOut();
      cells.answer();
    }
  });

  // The event does not rise from an element, but it can be caught on its way down.
  document.addEventListener("toggle", function (event) {
    const session = event.target;
    if (session.matches("details.session") && session.open && !folded.includes(session)) start(session);
  }, true);

  // What the address names behind its #; what somebody mistyped there names nothing.
  function addressed() {
    try {
      return decodeURIComponent(location.hash.slice(1));
    } catch {
      return "";
    }
  }

  function openTarget() {
    const target = document.getElementById(addressed());
    if (target && target.matches("details.session")) {
      target.open = true;
      start(target);
      target.scrollIntoView();
    }
  }
  window.addEventListener("hashchange", openTarget);
  document.addEventListener("DOMContentLoaded", function () {
    openTarget();
    const single = document.querySelector("main.session");
    if (single) start(single);
  });
  // A link to the session that was opened last does not change the address.
  document.addEventListener("click", function (event) {
    const link = event.target.closest("a[href^='#session-']");
    if (link && link.getAttribute("href") === location.hash) openTarget();
  });

  document.addEventListener("click", function (event) {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.id === "open-all" || button.id === "close-all") {
      const open = button.id === "open-all";
      for (const session of document.querySelectorAll("details.session")) session.open = open;
    }
    if (button.classList.contains("copy")) copy(button);
  });

  async function copy(button) {
    const texts = button.closest(".notice").querySelectorAll(".copied");
    const text = Array.from(texts, (element) => element.textContent).join("\n\n");
    const said = button.nextElementSibling;
    try {
      await navigator.clipboard.writeText(text);
      said.textContent = "Copied.";
    } catch {
      // Where a page from a file may not write to the clipboard, the text is selected instead.
      const chosen = window.getSelection();
      chosen.selectAllChildren(texts[0]);
      said.textContent = "Selected: copy it with Ctrl+C.";
    }
  }

  window.addEventListener("beforeprint", function () {
    folded = Array.from(document.querySelectorAll("details.session:not([open]):not([hidden])"));
    for (const session of folded) session.open = true;
    for (const picture of document.querySelectorAll("details[open] img, main.session img")) {
      picture.loading = "eager";
      picture.decoding = "sync";
    }
  });
  window.addEventListener("afterprint", function () {
    for (const session of folded) session.open = false;
    folded = [];
  });
})();
