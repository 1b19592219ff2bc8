// Everything works without this file. It warns before a session ends, moves the focus to an error summary, and copies texts.
"use strict";

(() => {
  const WARNING_SECONDS = 120;
  const SAME_END_MS = 5000;
  const MOST_LOG_LINES = 500;

  const focusErrors = (root) => {
    const summary = root.querySelector("[data-error-summary]");
    if (summary) summary.focus();
  };

  const watchSession = () => {
    const dialog = document.querySelector("dialog[data-session]");
    if (!dialog) return;
    let endsAt = Date.now() + Number(dialog.dataset.seconds) * 1000;
    let warnedOf = 0; // the end that was announced last: who has answered is not asked again about the same one
    const tabs = new BroadcastChannel("carebell-session"); // what one tab does keeps the others signed in, too
    const left = dialog.querySelector("[data-left]");
    const form = dialog.querySelector("form");
    const look = () => {
      const seconds = Math.round((endsAt - Date.now()) / 1000);
      if (seconds <= 0) {
        window.location.reload();
      } else if (seconds <= WARNING_SECONDS && !dialog.open && Math.abs(endsAt - warnedOf) > SAME_END_MS) {
        warnedOf = endsAt;
        dialog.showModal();
      }
      if (left) left.textContent = seconds > 60 ? Math.ceil(seconds / 60) + " minutes" : seconds + " seconds";
    };
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      if (answer.ok && !answer.redirected) {
        endsAt = Date.now() + Number(await answer.text()) * 1000;
        dialog.close();
        tabs.postMessage(endsAt);
      } else {
        window.location.reload();
      }
    });
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault(); // whoever presses Escape is there
      form.requestSubmit();
    });
    tabs.addEventListener("message", (event) => {
      if (event.data <= endsAt) return;
      endsAt = event.data;
      if (dialog.open) dialog.close();
    });
    tabs.postMessage(endsAt);
    window.setInterval(look, 1000);
  };

  const hiddenWords = (words) => {
    const span = document.createElement("span");
    span.className = "visually-hidden";
    span.textContent = words;
    return span;
  };

  const makeCopyButtons = (root) => {
    for (const place of root.querySelectorAll("span[data-copy]:empty")) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "secondary";
      const said = hiddenWords("");
      said.setAttribute("role", "status");
      button.append(place.dataset.words, hiddenWords(" " + place.dataset.what), said);
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(document.getElementById(place.dataset.copy).textContent);
        said.textContent = " Copied";
      });
      place.append(button);
    }
  };

  document.addEventListener("keydown", (event) => {
    const link = event.target.closest("a[role=button]");
    if (event.key !== " " || !link) return;
    event.preventDefault(); // what is announced as a button is pressed by Space, too
    link.click();
  });
  document.addEventListener("DOMContentLoaded", () => {
    focusErrors(document);
    watchSession();
    makeCopyButtons(document);
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    focusErrors(event.target);
    makeCopyButtons(document);
    const log = document.querySelector("[role=log]");
    if (!log) return;
    const lines = log.querySelectorAll(".log-line");
    for (let index = 0; index < lines.length - MOST_LOG_LINES; index += 1) lines[index].remove();
  });
})();
