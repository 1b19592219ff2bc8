// Who waits, kept up to date without reloading the page: what somebody is reading or pressing stays where it is, and who comes is
// announced. Without this file the page reloads itself.
"use strict";

(() => {
  const people = document.querySelector("[data-people]");
  if (!people) return;

  const news = document.querySelector("[data-news]");
  const waiting = (part) => part.querySelectorAll('form[action$="/let-in"]').length;

  const look = async () => {
    if (document.visibilityState !== "visible") return;
    try {
      const answer = await fetch(window.location.pathname, { headers: { accept: "text/html" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const now = page.querySelector("[data-people]");
      if (!answer.ok || !now) {
        window.location.reload();
        return;
      }
      if (now.innerHTML === people.innerHTML) return;
      const focused = people.contains(document.activeElement) ? document.activeElement.id : "";
      news.textContent = waiting(now) > waiting(people) ? news.dataset.came : "";
      people.replaceChildren(...now.childNodes);
      const again = focused && document.getElementById(focused);
      if (again) again.focus();
    } catch {
      // The next time may be better.
    }
  };

  document.addEventListener("visibilitychange", look);
  window.setInterval(look, Number(people.dataset.seconds) * 1000);
})();
