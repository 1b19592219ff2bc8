// The device test from step to step: whoever uses it presses a button for each thing that a browser wants to be asked for, and iPhones
// make no sound without a tap. What is kept of it are codes (`camera: blocked`); the sentences stand in the page.
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
  const NAMES = { host: "directly", srflx: "through the router", prflx: "through the router", relay: "by the relay" };
  const results = {};
  let streams = [];

  const say = (text) => {
    said.textContent = text;
  };
  const sentence = (step, code) => sentences.querySelector(`[data-code="${step}.${code}"]`).textContent;
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
    say("Looking for the camera.");
    const seen = await checks.camera(part("camera", "video"));
    if (seen.stream) streams.push(seen.stream);
    const numbers = seen.code === "ok" ? `${seen.width} × ${seen.height} points, ${seen.rate} pictures a second.` : "";
    conclude("camera", seen.code, numbers);
    if (seen.code !== "ok") part("camera", "video").hidden = true;
  };

  const testMicrophone = async (context) => {
    begin("microphone");
    await pressed("microphone", "do");
    say("Say a sentence now.");
    const meter = part("microphone", "level");
    meter.parentElement.hidden = false;
    const show = (level) => {
      meter.value = level;
    };
    const heard = await checks.microphone(context, show, () => say("This is what was heard."));
    if (heard.stream) streams.push(heard.stream);
    conclude("microphone", heard.code);
  };

  const testSpeaker = async (context) => {
    begin("speaker");
    await pressed("speaker", "do");
    say("A tone sounds.");
    if (!(await checks.tone(context))) return conclude("speaker", "failed");
    say("Did you hear it?");
    const question = part("speaker", "question");
    question.hidden = false;
    const answer = await pressed("speaker", "yes", "no");
    question.hidden = true;
    conclude("speaker", answer === "yes" ? "ok" : "not_heard");
  };

  const testConnection = async (canCall) => {
    begin("connection");
    say("Measuring the connection.");
    const [measured, ice] = [await checks.connection(), await serversOf()];
    if (measured.down === undefined) {
      conclude("connection", measured.code);
      return ice;
    }
    const found = canCall ? await checks.ways(ice.servers) : new Set();
    const noRelay = canCall && ice.relay && !found.has("relay");
    const ways = [...new Set([...found].map((kind) => NAMES[kind]))].filter(Boolean).join(", ");
    const numbers =
      `Round trip ${Math.round(measured.round_trip)} ms, ${measured.down.toFixed(1)} Mbit/s here, ` +
      `${measured.up.toFixed(1)} Mbit/s back.` + (ways ? ` A call can go ${ways}.` : "");
    conclude("connection", noRelay ? "no_relay" : measured.code, numbers);
    return ice;
  };

  const testCall = async (ice) => {
    begin("call");
    say("The test call takes ten seconds.");
    const made = await checks.call(streams, ice.servers, part("call", "video"), Number(test.dataset.callSeconds));
    const numbers =
      made.loss === undefined
        ? ""
        : `Lost ${(100 * made.loss).toFixed(1)} %, jitter ${Math.round(1000 * made.jitter)} ms, round trip ` +
          `${Math.round(1000 * made.round_trip)} ms, ${made.frames} pictures${NAMES[made.way] ? `, ${NAMES[made.way]}` : ""}.`;
    conclude("call", made.code, numbers);
  };

  const finish = async () => {
    for (const stream of streams) for (const track of stream.getTracks()) track.stop();
    streams = [];
    part("camera", "video").srcObject = null;
    part("camera", "video").hidden = true;
    const failed = Object.values(results).filter((code) => code !== "ok").length;
    let words = failed ? "Not everything works yet. What to do stands at each step." : "Your device is ready for the visit.";
    if (token) {
      try {
        const answer = await posted(`/j/${token}/test`, { steps: results });
        words += answer.ok ? " Your care team sees the result." : " The result could not be noted.";
      } catch {
        words += " The result could not be noted.";
      }
    }
    end.querySelector("[data-summary]").textContent = words;
    end.hidden = false;
    say(words);
    end.querySelector("[data-again]").focus();
  };

  const run = async () => {
    for (const [name, step] of Object.entries(steps)) {
      delete results[name];
      step.dataset.state = "";
      part(name, "result").textContent = "Not tested yet.";
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
