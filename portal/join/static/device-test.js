// The device test from step to step: whoever uses it presses a button for each thing that a browser wants to be asked for, and iPhones
// make no sound without a tap. What is kept of it are codes (`camera: blocked`); the words stand in the page.
"use strict";

(() => {
  const test = document.querySelector("[data-test]");
  if (!test) return;
  const checks = window.deviceChecks;
  const token = test.dataset.token;
  const said = test.querySelector("[data-said]");
  const start = test.querySelector("[data-start]");
  const end = test.querySelector("[data-end]");
  const sentences = test.querySelector("[data-sentences]").content;
  const steps = Object.fromEntries([...test.querySelectorAll("[data-step]")].map((step) => [step.dataset.step, step]));
  const WAYS = { host: "host", srflx: "router", prflx: "router", relay: "relay" };
  const results = {};
  let streams = [];

  const say = (text) => {
    said.textContent = text;
  };
  const sentence = (step, code) => sentences.querySelector(`[data-code="${step}.${code}"]`).textContent;
  const words = (code, values = {}) => sentence("says", code).replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const way = (kind) => (WAYS[kind] ? words(WAYS[kind]) : "");
  const number = (value, digits = 0) =>
    value.toLocaleString(test.dataset.locale, { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false });
  const part = (step, name) => steps[step].querySelector(`[data-${name}]`);

  const conclude = (step, code, numbers = "") => {
    results[step] = code;
    steps[step].dataset.state = code === "ok" ? "ok" : "failed";
    steps[step].removeAttribute("aria-current");
    part(step, "result").textContent = sentence(step, code);
    part(step, "numbers").textContent = numbers;
    say(sentence(step, code));
  };

  const begin = (step) => {
    steps[step].dataset.state = "now";
    steps[step].setAttribute("aria-current", "step");
  };

  // Shows one of the step's buttons, or several, and waits until one is pressed
  const pressed = (step, ...names) =>
    new Promise((resolve) => {
      const buttons = names.map((name) => part(step, name));
      const over = (event) => {
        for (const button of buttons) {
          button.hidden = true;
          button.removeEventListener("click", over);
        }
        resolve(names[buttons.indexOf(event.currentTarget)]);
      };
      for (const button of buttons) {
        button.hidden = false;
        button.addEventListener("click", over);
      }
      buttons[0].focus();
    });

  const posted = (path, body) =>
    fetch(path, {
      method: "POST",
      headers: { accept: "application/json", ...(body ? { "content-type": "application/json" } : {}) },
      body: body ? JSON.stringify(body) : undefined,
    });

  const serversOf = async () => {
    try {
      const answer = await posted(token ? `/j/${token}/test/servers` : "/test/servers");
      return answer.ok ? await answer.json() : { servers: [], relay: false };
    } catch {
      return { servers: [], relay: false };
    }
  };

  const testCamera = async () => {
    begin("camera");
    await pressed("camera", "do");
    say(words("looking"));
    const seen = await checks.camera(part("camera", "video"));
    if (seen.stream) streams.push(seen.stream);
    const numbers = seen.code === "ok" ? words("picture", seen) : "";
    conclude("camera", seen.code, numbers);
    if (seen.code !== "ok") part("camera", "video").hidden = true;
  };

  const testMicrophone = async (context) => {
    begin("microphone");
    await pressed("microphone", "do");
    say(words("speak"));
    const meter = part("microphone", "level");
    meter.parentElement.hidden = false;
    const show = (level) => {
      meter.value = level;
    };
    const heard = await checks.microphone(context, show, () => say(words("playback")));
    if (heard.stream) streams.push(heard.stream);
    conclude("microphone", heard.code);
  };

  const testSpeaker = async (context) => {
    begin("speaker");
    await pressed("speaker", "do");
    say(words("tone"));
    if (!(await checks.tone(context))) return conclude("speaker", "failed");
    say(words("question"));
    const question = part("speaker", "question");
    question.hidden = false;
    const answer = await pressed("speaker", "yes", "no");
    question.hidden = true;
    conclude("speaker", answer === "yes" ? "ok" : "not_heard");
  };

  const testConnection = async (canCall) => {
    begin("connection");
    say(words("measuring"));
    const [measured, ice] = [await checks.connection(), await serversOf()];
    if (measured.down === undefined) {
      conclude("connection", measured.code);
      return ice;
    }
    const found = canCall ? await checks.ways(ice.servers) : new Set();
    const noRelay = canCall && ice.relay && !found.has("relay");
    const ways = [...new Set([...found].map(way))].filter(Boolean).join(", ");
    const speed = words("speed", {
      round_trip: number(measured.round_trip),
      down: number(measured.down, 1),
      up: number(measured.up, 1),
    });
    const numbers = ways ? `${speed} ${words("ways", { ways })}` : speed;
    conclude("connection", noRelay ? "no_relay" : measured.code, numbers);
    return ice;
  };

  const testCall = async (ice) => {
    begin("call");
    say(words("calling"));
    const made = await checks.call(streams, ice.servers, part("call", "video"), Number(test.dataset.callSeconds));
    if (made.loss === undefined) return conclude("call", made.code);
    const measured = {
      loss: number(100 * made.loss, 1),
      jitter: number(1000 * made.jitter),
      round_trip: number(1000 * made.round_trip),
      frames: made.frames,
      way: way(made.way),
    };
    conclude("call", made.code, words(measured.way ? "call_by" : "call", measured));
  };

  const finish = async () => {
    for (const stream of streams) for (const track of stream.getTracks()) track.stop();
    streams = [];
    part("camera", "video").srcObject = null;
    part("camera", "video").hidden = true;
    const failed = Object.values(results).filter((code) => code !== "ok").length;
    let summary = words(failed ? "not_all" : "all_well");
    if (token) {
      try {
        const answer = await posted(`/j/${token}/test`, { steps: results });
        summary += ` ${words(answer.ok ? "noted" : "not_noted")}`;
      } catch {
        summary += ` ${words("not_noted")}`;
      }
    }
    end.querySelector("[data-summary]").textContent = summary;
    end.hidden = false;
    say(summary);
    end.querySelector("[data-again]").focus();
  };

  const run = async () => {
    for (const [name, step] of Object.entries(steps)) {
      delete results[name];
      step.dataset.state = "";
      part(name, "result").textContent = words("untested");
      part(name, "numbers").textContent = "";
    }
    end.hidden = true;
    begin("browser");
    const works = checks.browser(test.dataset.family === "in_app");
    conclude("browser", works);
    const hasDevices = works === "ok" || works === "no_calls";
    const Context = window.AudioContext || window.webkitAudioContext;
    const context = Context ? new Context() : null;
    if (hasDevices) await testCamera();
    if (hasDevices && context) await testMicrophone(context);
    if (context) await testSpeaker(context);
    const ice = await testConnection(works === "ok");
    if (works === "ok") await testCall(ice);
    if (context) context.close();
    await finish();
  };

  test.hidden = false;
  start.addEventListener("click", () => {
    start.hidden = true;
    run();
  });
  end.querySelector("[data-again]").addEventListener("click", run);

  // Whoever came from the waiting room still waits there
  if (!test.dataset.waiting) return;
  const base = `/j/${token}`;
  const device = sessionStorage.getItem(`device ${base}`);
  if (!device || sessionStorage.getItem(`left ${base}`) === "1") return;
  const stillHere = async () => {
    if (document.visibilityState !== "visible") return;
    try {
      const answer = await fetch(`${base}/here`, {
        method: "POST",
        headers: { accept: "application/json" },
        body: new URLSearchParams({ device }),
      });
      const state = answer.ok ? await answer.json() : { stage: "over", words: "" };
      if (state.stage === "waiting") return;
      test.querySelector("[data-moved]").hidden = false;
      test.querySelector("[data-moved-words]").textContent = state.words;
      if (state.stage !== "admitted") window.clearInterval(timer);
    } catch {
      // The next time may be better.
    }
  };
  const timer = window.setInterval(stillHere, Number(test.dataset.seconds) * 1000);
  stillHere();
})();
