// A take: one speech with its waveform, its words and its figures.

import { events, get, post, ServerError } from "./api.js";
import { decodePcm, Player, RATE } from "./player.js";

const FORMATS = ["mp3", "wav", "flac", "opus", "aac", "pcm"];

export class Take {
  constructor(name, place) {
    this.name = name;
    this.player = new Player();
    this.marks = [];
    this.card = document.getElementById("take-template").content.firstElementChild.cloneNode(true);
    this.card.setAttribute("aria-label", `Take ${name}`);
    this.find("h2").textContent = `Take ${name}`;
    this.find(".format").append(...FORMATS.map((format) => new Option(format, format)));
    place.append(this.card);
    this.find(".play").onclick = () => (this.player.playing ? this.player.pause() : this.player.play());
    this.find(".download").onclick = () => this.download();
    this.find(".captions").onclick = () => this.downloadCaptions();
    this.wave = this.find(".wave");
    this.wave.onpointerdown = (event) => this.player.seek((event.offsetX / this.wave.clientWidth) * this.player.duration);
    this.wave.onkeydown = (event) => this.#key(event);
    for (const kind of ["grow", "state"]) this.player.addEventListener(kind, () => this.draw());
    this.player.addEventListener("gap", () => (this.gaps += 1));
    new ResizeObserver(() => this.draw()).observe(this.wave);
  }

  find(selector) {
    return this.card.querySelector(selector);
  }

  // Speak a request, playing what has come; resolves at its end.
  async speak(body, signal) {
    Object.assign(this, { body, marks: [], gaps: 0, figures: {} });
    this.player.pause();
    this.player.clear();
    this.#showWords(body.input, body.language || "");
    this.find(".warnings").replaceChildren();
    this.find(".facts").textContent = "Waiting for the first audio…";
    this.player.open();
    const begun = performance.now();
    try {
      const answer = await post("/v1/audio/speech", { ...body, response_format: "pcm", stream_format: "sse" }, signal);
      this.body = { ...body, seed: Number(answer.headers.get("x-realtts-seed")) };
      this.figures.rung = answer.headers.get("x-realtts-rung");
      for await (const event of events(answer)) this.#take(event, begun);
    } finally {
      this.player.finish();
      for (const name of [".play", ".download", ".captions"]) this.find(name).disabled = !this.player.length;
      if (!this.player.length) this.find(".facts").textContent = "Nothing was spoken.";
      this.draw();
    }
    const seconds = (performance.now() - begun) / 1000;
    this.figures.rtf = seconds / this.player.duration;
    this.#showFigures();
    this.draw();
  }

  #take(event, begun) {
    if (event.type === "speech.audio.error") throw new ServerError(500, event.error);
    if (event.type !== "speech.audio.delta") return;
    for (const warning of event.warnings || []) {
      const line = document.createElement("li");
      line.textContent = warning;
      this.find(".warnings").append(line);
    }
    for (const mark of event.timestamps || []) this.#addMark(mark);
    if (!event.audio) return;
    this.player.append(decodePcm(event.audio));
    if (this.figures.first === undefined && this.player.length) {
      this.figures.first = performance.now() - begun;
      this.find(".play").disabled = false;
      this.player.play(0);
      this.#showFigures();
    }
  }

  #showFigures() {
    const { first, rtf, rung } = this.figures;
    const facts = [];
    if (first !== undefined) facts.push(`first audio ${first.toFixed(0)} ms`);
    if (Number.isFinite(rtf)) facts.push(`RTF ${rtf.toPrecision(2)}`, `${this.player.duration.toFixed(2)} s`);
    if (rung) facts.push(`rung ${rung}`);
    if (this.body) facts.push(`seed ${this.body.seed}`);
    if (this.gaps) facts.push(this.gaps === 1 ? "1 gap" : `${this.gaps} gaps`);
    this.find(".facts").textContent = facts.join(" · ");
  }

  // -- words ----------------------------------------------------------------------------------------------------------

  #showWords(text, language) {
    const words = this.find(".words");
    words.lang = language;
    words.textContent = text;
    this.letters = [...text]; // the server counts characters, not UTF-16 units
    this.shown = 0;
    this.current = null;
  }

  #addMark(mark) {
    if (mark.kind !== "word") return;
    const [from, to] = mark.span;
    const words = this.find(".words");
    const rest = words.lastChild;
    if (!rest || rest.nodeType !== Node.TEXT_NODE || from < this.shown) return;
    const before = this.letters.slice(this.shown, from).join("");
    const span = document.createElement("span");
    span.className = "word";
    span.textContent = this.letters.slice(from, to).join("");
    span.onclick = () => this.player.seek(mark.start);
    const after = document.createTextNode(rest.data.slice(before.length + span.textContent.length));
    rest.data = before;
    words.append(span, after);
    this.shown = to;
    this.marks.push({ ...mark, span });
  }

  // -- waveform -------------------------------------------------------------------------------------------------------

  draw() {
    const { wave, player } = this;
    const width = (wave.width = Math.max(1, Math.round(wave.clientWidth * devicePixelRatio)));
    const height = (wave.height = Math.round(96 * devicePixelRatio));
    const paint = wave.getContext("2d");
    const style = getComputedStyle(document.documentElement);
    const { peaks } = player;
    const step = peaks.length / width;
    const now = (player.time / player.duration || 0) * width;
    const [spoken, rest] = ["--accent", "--wave"].map((name) => style.getPropertyValue(name));
    for (let x = 0; x < width && peaks.length; x++) {
      let peak = peaks[Math.floor(x * step)];
      for (let at = Math.floor(x * step) + 1; at < (x + 1) * step; at++) peak = Math.max(peak, peaks[at] ?? 0);
      paint.fillStyle = x < now ? spoken : rest;
      const tall = Math.max(1, peak * height);
      paint.fillRect(x, (height - tall) / 2, 1, tall);
    }
    this.find(".play").textContent = player.playing ? "Pause" : "Play";
    this.find(".clock").textContent = `${clock(player.time)} / ${clock(player.duration)}`;
    wave.setAttribute("aria-valuemax", player.duration.toFixed(1));
    wave.setAttribute("aria-valuenow", player.time.toFixed(1));
    wave.setAttribute("aria-valuetext", `${clock(player.time)} of ${clock(player.duration)}`);
    this.#highlight(player.time);
    if (player.playing && !this.waiting) {
      this.waiting = true;
      requestAnimationFrame(() => {
        this.waiting = false;
        this.draw();
      });
    }
  }

  #highlight(time) {
    let low = 0;
    for (let high = this.marks.length; low < high; ) {
      const middle = (low + high) >> 1;
      if (this.marks[middle].start <= time) low = middle + 1;
      else high = middle;
    }
    const mark = this.marks[low - 1];
    const word = mark && time > 0 && time < mark.end ? mark.span : null;
    if (word === this.current) return;
    this.current?.classList.remove("now");
    word?.classList.add("now");
    this.current = word;
  }

  #key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageDown: -10, PageUp: 10 }[event.key];
    if (step) this.player.seek(this.player.time + step);
    else if (event.key === "Home") this.player.seek(0);
    else if (event.key === "End") this.player.seek(this.player.duration);
    else if (event.key === " " || event.key === "Enter") this.find(".play").click();
    else return;
    event.preventDefault();
  }

  // -- files ----------------------------------------------------------------------------------------------------------

  async download() {
    const format = this.find(".format").value;
    await this.#busy(".download", async () => {
      const answer = await post("/v1/audio/speech", { ...this.body, response_format: format });
      save(await answer.blob(), `speech-${this.name}.${format}`);
    });
  }

  async downloadCaptions() {
    await this.#busy(".captions", async () => {
      const answer = await post("/v1/audio/speech", { ...this.body, response_format: "wav", timestamps: "srt" });
      const { timestamps } = await answer.json();
      if (!timestamps) throw new Error("This model gives no timings.");
      save(new Blob([timestamps], { type: "text/plain" }), `speech-${this.name}.srt`);
    });
  }

  async #busy(selector, work) {
    const button = this.find(selector);
    button.disabled = true;
    try {
      await work();
    } catch (error) {
      this.find(".facts").textContent = error.message;
    } finally {
      button.disabled = false;
    }
  }
}

export async function attemptsOf(model) {
  const { models } = await get("/v1/status");
  return models[model]?.attempts || [];
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function clock(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

export { RATE };
