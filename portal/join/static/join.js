// The waiting room works without this file, by its buttons. It says again and again that the page is there, shows the patient their
// own picture, which is sent nowhere, and goes on when they are let in.
"use strict";

(() => {
  const lobby = document.querySelector("[data-lobby]");
  const goForm = document.querySelector("form[data-go]");

  if (goForm) {
    // Once by itself; after the browser's Back there is the button.
    const key = "went " + goForm.action;
    if (document.visibilityState === "visible" && !sessionStorage.getItem(key)) {
      sessionStorage.setItem(key, "1");
      goForm.requestSubmit();
    }
  }
  if (!lobby) return;

  const base = "/j/" + lobby.dataset.token;
  const words = lobby.querySelector("[data-words]");
  const comeIn = lobby.querySelector("form[data-come-in]");
  const leaving = lobby.querySelector("form[data-leave]");
  const sentences = lobby.querySelector("[data-sentences]").content;
  const sentence = (code) => sentences.querySelector(`[data-code="${code}"]`).textContent;
  const stored = "device " + base;
  const random = () => Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const device = sessionStorage.getItem(stored) || random();
  sessionStorage.setItem(stored, device);
  for (const field of lobby.querySelectorAll('input[name="device"]')) field.value = device;
  let left = sessionStorage.getItem("left " + base) === "1";

  const post = (path) =>
    fetch(base + path, {
      method: "POST",
      headers: { accept: "application/json" },
      body: new URLSearchParams({ device }),
    });

  const say = (text) => {
    if (words.textContent !== text) words.textContent = text;
  };

  const here = async () => {
    if (left || document.visibilityState !== "visible") return;
    try {
      const answer = await post("/here");
      if (!answer.ok) {
        if (answer.status === 404) window.location.reload();
        return;
      }
      const state = await answer.json();
      if (state.stage !== lobby.dataset.stage) {
        window.location.reload();
      } else {
        say(state.words);
      }
    } catch {
      say(sentence("disconnected"));
    }
  };

  if (comeIn) comeIn.addEventListener("submit", () => sessionStorage.removeItem("left " + base));
  if (leaving) {
    leaving.addEventListener("submit", () => {
      left = true;
      sessionStorage.setItem("left " + base, "1");
    });
  }
  document.addEventListener("visibilitychange", here);
  window.setInterval(here, Number(lobby.dataset.seconds) * 1000);
  here();

  // The patient's own picture and the microphone's level
  const preview = lobby.querySelector("[data-preview]");
  if (!navigator.mediaDevices || !navigator.mediaDevices.getUserMedia) return;
  preview.hidden = false;
  const video = preview.querySelector("[data-video]");
  const level = preview.querySelector("[data-level]");
  const said = preview.querySelector("[data-device-words]");
  const streams = {};
  let context = null;

  const WHY = { NotAllowedError: "blocked", NotFoundError: "none", NotReadableError: "in_use" };

  const listen = (stream) => {
    context = new AudioContext();
    const analyser = context.createAnalyser();
    context.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const measure = () => {
      if (!streams.audio) return;
      analyser.getFloatTimeDomainData(samples);
      level.value = Math.min(1, 4 * Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length));
      window.setTimeout(measure, 200);
    };
    measure();
  };

  const stop = (kind) => {
    for (const track of streams[kind].getTracks()) track.stop();
    delete streams[kind];
    if (kind === "video") {
      video.srcObject = null;
      video.hidden = true;
    } else {
      level.value = 0;
      context.close();
    }
  };

  for (const button of preview.querySelectorAll("[data-switch]")) {
    const kind = button.dataset.switch;
    button.addEventListener("click", async () => {
      if (streams[kind]) {
        stop(kind);
        button.setAttribute("aria-pressed", "false");
        return;
      }
      try {
        streams[kind] = await navigator.mediaDevices.getUserMedia({ [kind]: true });
        said.textContent = "";
      } catch (fault) {
        said.textContent = button.textContent.trim() + ": " + sentence(WHY[fault.name] || "failed");
        return;
      }
      button.setAttribute("aria-pressed", "true");
      if (kind === "video") {
        video.srcObject = streams.video;
        video.hidden = false;
        await video.play();
      } else {
        listen(streams.audio);
      }
    });
  }
})();
