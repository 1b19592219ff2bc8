// What the device test measures, a function for each step. Codes and numbers come back, no words; picture and sound leave the
// page for the test call alone, encrypted, if a relay is configured.
"use strict";

window.deviceChecks = (() => {
  const BYTES = 262144;
  const ROUND_TRIPS = 5;
  const SLOWEST_MEGABITS = 0.6; // a small picture with sound
  const LARGEST_LOSS = 0.05;
  const LARGEST_JITTER = 0.05; // seconds
  const LARGEST_ROUND_TRIP = 0.5;
  const SILENCE = 0.002; // of 1, the loudest
  const WHY = {
    NotAllowedError: "blocked",
    NotFoundError: "none",
    NotReadableError: "in_use",
    AbortError: "in_use",
    OverconstrainedError: "unsuited",
    SecurityError: "insecure",
  };

  const pause = (milliseconds) => new Promise((resolve) => window.setTimeout(resolve, milliseconds));
  const median = (values) => [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)];

  const browser = (inApp) => {
    if (!window.isSecureContext) return "insecure";
    if (!navigator.mediaDevices || !navigator.mediaDevices.getUserMedia) return inApp ? "in_app" : "no_camera_access";
    return window.RTCPeerConnection ? "ok" : "no_calls";
  };

  // {stream} or {code}; what the device cannot give exactly is asked for again in any form
  const opened = async (kind, wanted) => {
    for (const constraint of [wanted, true]) {
      try {
        return { stream: await navigator.mediaDevices.getUserMedia({ [kind]: constraint }) };
      } catch (fault) {
        if (fault.name !== "OverconstrainedError" || constraint === true) return { code: WHY[fault.name] || "failed" };
      }
    }
    return { code: "failed" };
  };

  const camera = async (video) => {
    const { stream, code } = await opened("video", { width: { ideal: 1280 }, height: { ideal: 720 }, facingMode: "user" });
    if (code) return { code };
    video.srcObject = stream;
    video.hidden = false;
    let frames = 0;
    const quality = () => (video.getVideoPlaybackQuality ? video.getVideoPlaybackQuality().totalVideoFrames : 0);
    const count = () => {
      frames += 1;
      if (video.srcObject === stream) video.requestVideoFrameCallback(count);
    };
    const counts = typeof video.requestVideoFrameCallback === "function";
    if (counts) video.requestVideoFrameCallback(count);
    await Promise.race([video.play().catch(() => null), pause(3000)]);
    for (let tenths = 0; tenths < 30 && !video.videoWidth; tenths += 1) await pause(100);
    const before = counts ? frames : quality();
    await pause(2000);
    const seen = (counts ? frames : quality()) - before;
    if (!video.videoWidth || seen === 0) return { code: "no_picture", stream };
    return { code: "ok", stream, width: video.videoWidth, height: video.videoHeight, rate: Math.round(seen / 2) };
  };

  const microphone = async (context, show, playing) => {
    const { stream, code } = await opened("audio", true);
    if (code) return { code };
    await context.resume();
    const analyser = context.createAnalyser();
    context.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const pieces = [];
    const recorder = typeof MediaRecorder === "function" ? new MediaRecorder(stream) : null;
    if (recorder) {
      recorder.ondataavailable = (event) => pieces.push(event.data);
      recorder.start();
    }
    let loudest = 0;
    for (let tenths = 0; tenths < 30; tenths += 1) {
      await pause(100);
      analyser.getFloatTimeDomainData(samples);
      const level = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
      loudest = Math.max(loudest, level);
      show(Math.min(1, 4 * level));
    }
    show(0);
    if (recorder) {
      await new Promise((resolve) => {
        recorder.onstop = resolve;
        recorder.stop();
      });
      if (loudest >= SILENCE) {
        playing();
        await playback(new Blob(pieces, { type: recorder.mimeType }));
      }
    }
    return { code: loudest < SILENCE ? "silent" : "ok", stream };
  };

  const playback = async (recording) => {
    const address = URL.createObjectURL(recording);
    const audio = new Audio(address);
    try {
      await audio.play();
      await Promise.race([new Promise((resolve) => audio.addEventListener("ended", resolve)), pause(4000)]);
    } catch {
      // The next step says whether the loudspeaker works.
    } finally {
      audio.pause();
      URL.revokeObjectURL(address);
    }
  };

  const tone = async (context) => {
    await Promise.race([context.resume(), pause(1000)]);
    if (context.state !== "running") return false;
    const oscillator = context.createOscillator();
    const gain = context.createGain();
    const now = context.currentTime;
    gain.gain.setValueAtTime(0, now);
    gain.gain.linearRampToValueAtTime(0.3, now + 0.05);
    gain.gain.setValueAtTime(0.3, now + 1.4);
    gain.gain.linearRampToValueAtTime(0, now + 1.5);
    oscillator.frequency.value = 523;
    oscillator.connect(gain).connect(context.destination);
    oscillator.start(now);
    oscillator.stop(now + 1.5);
    await pause(1600);
    return true;
  };

  const asked = async (path, options = {}) => {
    const ending = new AbortController();
    const timer = window.setTimeout(() => ending.abort(), 15000);
    const began = performance.now();
    try {
      const answer = await fetch(path, { ...options, cache: "no-store", signal: ending.signal });
      if (answer.status === 429) return { code: "busy" };
      if (!answer.ok) return { code: "unreachable", answered: true };
      await answer.arrayBuffer();
      return { milliseconds: performance.now() - began };
    } catch {
      return { code: ending.signal.aborted ? "slow" : "unreachable" };
    } finally {
      window.clearTimeout(timer);
    }
  };

  const megabits = (milliseconds) => (BYTES * 8) / 1000 / milliseconds;

  const connection = async () => {
    const trips = [];
    for (let number = 0; number < ROUND_TRIPS; number += 1) {
      const trip = await asked("/test/ping");
      if (trip.code) return { code: trip.code };
      trips.push(trip.milliseconds);
    }
    const body = new Uint8Array(BYTES);
    for (let at = 0; at < BYTES; at += 65536) crypto.getRandomValues(body.subarray(at, at + 65536));
    const down = await asked("/test/down", { method: "POST" });
    const up = down.code ? down : await asked("/test/up", { method: "POST", body });
    const failed = down.code ? down : up;
    // Who can be reached, and does not get through with a quarter of a megabyte, has a slow line.
    if (failed.code) return { code: failed.answered || failed.code === "busy" ? failed.code : "slow" };
    const measured = { round_trip: median(trips), down: megabits(down.milliseconds), up: megabits(up.milliseconds) };
    const slow = Math.min(measured.down, measured.up) < SLOWEST_MEGABITS;
    return { code: slow ? "slow" : "ok", ...measured };
  };

  // The kinds of ways that a call could take: host, srflx (through the router), relay
  const ways = async (iceServers) => {
    const found = new Set();
    const peer = new RTCPeerConnection({ iceServers });
    try {
      const gathered = new Promise((resolve) => {
        peer.onicecandidate = ({ candidate }) => {
          if (!candidate) return resolve();
          const kind = candidate.type || (/ typ (\w+)/.exec(candidate.candidate) || [])[1];
          if (kind) found.add(kind);
        };
      });
      peer.createDataChannel("test");
      await peer.setLocalDescription(await peer.createOffer());
      await Promise.race([gathered, pause(5000)]);
    } finally {
      peer.close();
    }
    return found;
  };

  const call = async (streams, iceServers, video, seconds) => {
    const tracks = streams.flatMap((stream) => stream.getTracks()).filter((track) => track.readyState === "live");
    if (!tracks.length) return { code: "skipped" };
    const relayed = iceServers.some((server) => server.credential);
    const settings = { iceServers, iceTransportPolicy: relayed ? "relay" : "all" };
    const caller = new RTCPeerConnection(settings);
    const called = new RTCPeerConnection(settings);
    const waiting = { caller: [], called: [] };
    const pass = (name, other) => ({ candidate }) => {
      if (!candidate) return;
      if (other.remoteDescription) other.addIceCandidate(candidate).catch(() => null);
      else waiting[name].push(candidate);
    };
    const arrived = new MediaStream();
    try {
      caller.onicecandidate = pass("called", called);
      called.onicecandidate = pass("caller", caller);
      called.ontrack = ({ track }) => arrived.addTrack(track);
      const sent = new MediaStream(tracks);
      for (const track of tracks) caller.addTrack(track, sent);
      await caller.setLocalDescription(await caller.createOffer());
      await called.setRemoteDescription(caller.localDescription);
      for (const candidate of waiting.called) await called.addIceCandidate(candidate);
      await called.setLocalDescription(await called.createAnswer());
      await caller.setRemoteDescription(called.localDescription);
      for (const candidate of waiting.caller) await caller.addIceCandidate(candidate);
      video.srcObject = arrived;
      video.muted = true; // or the microphone would hear it
      video.hidden = !tracks.some((track) => track.kind === "video");
      video.play().catch(() => null);
      for (let tenths = 0; tenths < 100 && called.connectionState !== "connected"; tenths += 1) await pause(100);
      if (called.connectionState !== "connected") return { code: "failed" };
      await pause(seconds * 1000);
      return judged(await called.getStats(), tracks.some((track) => track.kind === "video"), seconds);
    } catch {
      return { code: "failed" };
    } finally {
      caller.close();
      called.close();
      video.srcObject = null;
      video.hidden = true;
    }
  };

  const judged = (report, hasVideo, seconds) => {
    let lost = 0, received = 0, jitter = 0, frames = 0, roundTrip = 0, way = "";
    report.forEach((entry) => {
      if (entry.type === "inbound-rtp") {
        lost += Math.max(0, entry.packetsLost || 0);
        received += entry.packetsReceived || 0;
        jitter = Math.max(jitter, entry.jitter || 0);
        frames += entry.framesDecoded || 0;
      }
      if (entry.type === "candidate-pair" && entry.nominated && entry.state === "succeeded") {
        roundTrip = entry.currentRoundTripTime || 0;
        const local = report.get(entry.localCandidateId);
        way = local ? local.candidateType : "";
      }
    });
    if (!received) return { code: "failed" };
    const loss = lost / (lost + received);
    const late = jitter > LARGEST_JITTER || roundTrip > LARGEST_ROUND_TRIP;
    const choppy = hasVideo && frames < 2 * seconds;
    const code = loss > LARGEST_LOSS || late || choppy ? "poor" : "ok";
    return { code, loss, jitter, round_trip: roundTrip, frames, way };
  };

  return { browser, camera, microphone, tone, connection, ways, call };
})();
