// The page: fields, takes, history.

import { get, key, sendForm } from "./api.js";
import { codeOf } from "./code.js";
import { drawOptions, readOptions, writeOptions } from "./options.js";
import { base64Of, faultOf, readFile, Recorder, wavOf } from "./recorder.js";
import { attemptsOf, Take } from "./take.js";

const $ = (id) => document.getElementById(id);
const HISTORY = "realtts-history";
const MOST_KEPT = 50;
const SEED = /^[0-9]{1,15}$/; // as many digits as numbers here keep
const FIELD_OF = { input: "text" };

const state = { model: null, recording: null, running: null, recorder: null, code: "curl" };
const takes = {};

// -- what the server has -----------------------------------------------------------------------------------------------

async function connect() {
  try {
    const { data } = await get("/v1/models");
    $("model").replaceChildren(...data.map((model) => new Option(model.id, model.id)));
    await chooseModel();
    $("server").textContent = `${data.length} ${data.length === 1 ? "model" : "models"}`;
    document.querySelector(".key").hidden = !key.get();
  } catch (error) {
    $("server").textContent = error.message;
    if (error.status === 401) {
      document.querySelector(".key").hidden = false;
      $("key").focus();
    }
  }
}

async function chooseModel() {
  const name = $("model").value;
  showErrors();
  const [model, voices] = await Promise.all([
    get(`/v1/models/${encodeURIComponent(name)}`),
    get(`/v1/audio/voices?model=${encodeURIComponent(name)}`),
  ]);
  state.model = model;
  const named = new Intl.DisplayNames([navigator.language, "en"], { type: "language", fallback: "code" });
  const label = (tag) => {
    try {
      return `${named.of(tag)} (${tag})`;
    } catch {
      return tag;
    }
  };
  $("voice").replaceChildren(
    new Option("default", ""),
    ...voices.voices.map((voice) => new Option([voice.name, voice.language].filter(Boolean).join(", "), voice.id)),
  );
  $("language").replaceChildren(
    new Option("by the voice", ""),
    ...model.languages.map((tag) => new Option(label(tag), tag)),
  );
  $("cloning").hidden = !model.capabilities.includes("clone");
  $("model-note").textContent = model.capabilities.join(", ");
  drawOptions($("options"), model.options);
  $("options").querySelectorAll("input, select").forEach((input) => input.addEventListener("input", showCode));
  showCode();
  showAttempts();
}

async function showAttempts() {
  const attempts = await attemptsOf(state.model.id).catch(() => []);
  $("ladder").hidden = !attempts.length;
  $("attempts").replaceChildren(
    ...attempts.map((attempt) => {
      const line = document.createElement("li");
      line.textContent = `${attempt.rung} failed at ${attempt.stage}: ${attempt.exception}: ${attempt.message} ${attempt.remedy}`;
      return line;
    }),
  );
}

// -- the request -------------------------------------------------------------------------------------------------------

function bodyOf() {
  const body = { model: $("model").value, input: $("text").value };
  for (const name of ["voice", "language", "normalize"]) if ($(name).value) body[name] = $(name).value;
  if (Number($("speed").value) !== 1) body.speed = Number($("speed").value);
  if (SEED.test($("seed").value.trim())) body.seed = Number($("seed").value);
  const options = readOptions($("options"));
  if (Object.keys(options).length) body.options = options;
  if (state.recording) {
    delete body.voice;
    body.ref_audio = state.recording.base64;
  }
  if ($("reference_text").value.trim() && (state.recording || body.voice)) {
    if (state.recording) body.reference_text = $("reference_text").value.trim();
  }
  return body;
}

function faultOfForm() {
  if (!$("text").value.trim()) return { param: "input", message: "Write something to speak." };
  if ($("seed").value.trim() && !SEED.test($("seed").value.trim())) {
    return { param: "seed", message: "A seed is a whole number of at most 15 digits." };
  }
  return null;
}

async function speak(event) {
  event.preventDefault();
  if (state.running) return;
  showErrors();
  const fault = faultOfForm();
  if (fault) return showErrors(fault);
  const name = document.querySelector("[name=take]:checked").value;
  takes[name] ??= new Take(name, $("takes"));
  for (const other of Object.values(takes)) other.player.pause();
  state.running = new AbortController();
  $("speak").disabled = true;
  $("stop").disabled = false;
  const body = bodyOf();
  try {
    await takes[name].speak(body, state.running.signal);
    remember(takes[name].body);
  } catch (error) {
    if (error.name !== "AbortError") showErrors(error);
  } finally {
    state.running = null;
    $("speak").disabled = false;
    $("stop").disabled = true;
    showAttempts();
  }
}

function stop() {
  state.running?.abort();
  for (const take of Object.values(takes)) take.player.pause();
}

function showErrors(error) {
  for (const place of document.querySelectorAll(".error")) place.hidden = true;
  for (const input of document.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
  if (!error) return;
  const field = error.param ? error.param.split(".").pop() : "";
  const place = $(`${field}-error`) || $("form-error");
  place.textContent = error.retryAfter ? `${error.message} (${error.retryAfter} s)` : error.message;
  place.hidden = false;
  const input = $(FIELD_OF[field] || field) || $(`option-${field}`);
  if (!input) return;
  for (let parent = input.closest("details"); parent; parent = parent.parentElement.closest("details")) parent.open = true;
  input.setAttribute("aria-invalid", "true");
  input.setAttribute("aria-errormessage", place.id);
  input.focus();
}

// -- recordings --------------------------------------------------------------------------------------------------------

async function takeRecording(recording) {
  const fault = faultOf(recording, state.model.reference_seconds);
  const seconds = (recording.samples.length / recording.rate).toFixed(1);
  forgetRecording();
  if (fault) return showErrors({ param: "ref_audio", message: fault });
  showErrors();
  const blob = wavOf(recording);
  state.recording = { blob, base64: await base64Of(blob) };
  $("recording-note").textContent = `A recording of ${seconds} s is used in place of the voice.`;
  $("recording-player").src = URL.createObjectURL(blob);
  $("recording-player").hidden = false;
  $("save-voice").disabled = $("forget-recording").disabled = false;
  showCode();
}

function forgetRecording() {
  state.recording = null;
  $("recording-note").textContent = "";
  $("recording-player").hidden = true;
  $("save-voice").disabled = $("forget-recording").disabled = true;
  showCode();
}

async function upload() {
  const [file] = $("upload").files;
  if (!file) return;
  try {
    await takeRecording(await readFile(file));
  } catch {
    showErrors({ param: "ref_audio", message: "This file is no audio that the browser reads. Try a WAV file." });
  }
}

async function record() {
  if (state.recorder) {
    const recorder = state.recorder;
    state.recorder = null;
    $("record").textContent = "Record";
    $("record").setAttribute("aria-pressed", "false");
    $("level").value = 0;
    return takeRecording(await recorder.stop());
  }
  const recorder = new Recorder();
  try {
    await recorder.start((level, seconds) => {
      $("level").value = level;
      $("recording-note").textContent = `${seconds.toFixed(1)} s`;
    });
  } catch (error) {
    return showErrors({ param: "ref_audio", message: `The microphone cannot be used: ${error.message}.` });
  }
  state.recorder = recorder;
  $("record").textContent = "Stop recording";
  $("record").setAttribute("aria-pressed", "true");
}

async function saveVoice() {
  const name = $("voice-name").value.trim();
  if (!name) return showErrors({ param: "name", message: "Give it a name first." });
  const form = new FormData();
  form.append("audio_sample", state.recording.blob, "recording.wav");
  form.append("name", name);
  if ($("reference_text").value.trim()) form.append("reference_text", $("reference_text").value.trim());
  try {
    const saved = await sendForm("/v1/audio/voices", form);
    await chooseModel();
    $("voice").value = saved.id;
    forgetRecording();
    $("recording-note").textContent = `Saved as ${saved.id}.`;
  } catch (error) {
    showErrors(error.param === "audio_sample" ? { ...error, param: "ref_audio", message: error.message } : error);
  }
}

// -- code and history --------------------------------------------------------------------------------------------------

function showCode() {
  $("code-text").textContent = codeOf(state.code, bodyOf(), location.origin, Boolean(key.get()));
  $("text-count").textContent = `${[...$("text").value].length} characters`;
  $("speed-value").textContent = $("speed").value;
}

function chooseCode(kind) {
  state.code = kind;
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const chosen = tab.id === `tab-${kind}`;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    if (chosen) $("code-text").setAttribute("aria-labelledby", tab.id);
  }
  showCode();
}

function kept() {
  try {
    return JSON.parse(localStorage.getItem(HISTORY)) || [];
  } catch {
    return [];
  }
}

function keep(entries) {
  try {
    localStorage.setItem(HISTORY, JSON.stringify(entries));
    return true;
  } catch {
    return false; // long texts have filled what a page may keep
  }
}

function remember(body) {
  const { ref_audio: _, ...entry } = body;
  const entries = [{ ...entry, at: new Date().toISOString() }, ...kept()].slice(0, MOST_KEPT);
  while (entries.length && !keep(entries)) entries.pop();
  showHistory();
}

function showHistory() {
  const entries = kept();
  $("history-empty").hidden = entries.length > 0;
  $("clear-history").hidden = !entries.length;
  $("history-list").replaceChildren(
    ...entries.map((entry) => {
      const line = document.createElement("li");
      const button = document.createElement("button");
      button.type = "button";
      const text = entry.input.length > 80 ? `${entry.input.slice(0, 79)}…` : entry.input;
      button.textContent = `${text} — ${[entry.model, entry.voice, entry.language].filter(Boolean).join(", ")}`;
      button.onclick = () => restore(entry);
      line.append(button);
      return line;
    }),
  );
}

async function restore(entry) {
  if ([...$("model").options].some((option) => option.value === entry.model)) {
    $("model").value = entry.model;
    await chooseModel();
  }
  $("text").value = entry.input;
  for (const name of ["voice", "language", "normalize"]) $(name).value = entry[name] || "";
  $("speed").value = entry.speed || 1;
  $("seed").value = entry.seed ?? "";
  writeOptions($("options"), entry.options || {});
  showCode();
  $("text").focus();
}

// -- wiring ------------------------------------------------------------------------------------------------------------

$("form").addEventListener("submit", speak);
$("form").addEventListener("input", showCode);
$("stop").onclick = stop;
$("model").onchange = () => chooseModel().catch(showErrors);
$("upload").onchange = upload;
$("record").onclick = record;
$("save-voice").onclick = saveVoice;
$("forget-recording").onclick = forgetRecording;
$("copy-code").onclick = async () => {
  await navigator.clipboard.writeText($("code-text").textContent);
  $("copy-code").textContent = "Copied";
  setTimeout(() => ($("copy-code").textContent = "Copy"), 1500);
};
$("clear-history").onclick = () => {
  localStorage.removeItem(HISTORY);
  showHistory();
};
$("key").onchange = () => {
  key.set($("key").value);
  connect();
};
const tabs = [...document.querySelectorAll("[role=tab]")];
for (const [index, tab] of tabs.entries()) {
  tab.onclick = () => chooseCode(tab.id.slice(4));
  tab.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = tabs[(index + step + tabs.length) % tabs.length];
    next.focus();
    next.click();
  };
}
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("form").requestSubmit();
  if (event.key === "Escape" && state.running) stop();
});

showHistory();
connect();
