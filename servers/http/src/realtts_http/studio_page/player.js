// Plays samples while they come, without a gap, and any part of them again.

export const RATE = 24000;

const BLOCK = 64; // samples that share a peak in the picture

export class Player extends EventTarget {
  constructor() {
    super();
    this.playing = false;
    this.nodes = new Set();
    this.clear();
  }

  clear() {
    this.parts = [];
    this.peaks = []; // of blocks of samples
    this.length = 0;
    this.complete = false;
    this.position = 0; // samples, where it stands while it does not play
  }

  get duration() {
    return this.length / RATE;
  }

  get time() {
    if (!this.playing) return this.position / RATE;
    const passed = this.context.currentTime - this.startedAt;
    return Math.min(this.duration, Math.max(this.startedFrom, this.startedFrom + passed));
  }

  open() {
    // Made at a click, because browsers let no page make a sound by itself.
    this.context ??= new AudioContext({ sampleRate: RATE });
    if (this.context.state === "suspended") this.context.resume();
  }

  append(samples) {
    if (!samples.length) return;
    this.parts.push(samples);
    for (const sample of samples) {
      const block = Math.floor(this.length++ / BLOCK);
      this.peaks[block] = Math.max(this.peaks[block] ?? 0, Math.abs(sample));
    }
    if (this.playing) this.#schedule(samples, 0);
    this.dispatchEvent(new Event("grow"));
  }

  finish() {
    this.complete = true;
    this.#watchEnd();
    this.dispatchEvent(new Event("grow"));
  }

  samples() {
    if (this.parts.length > 1) {
      const joined = new Float32Array(this.length);
      let at = 0;
      for (const part of this.parts) {
        joined.set(part, at);
        at += part.length;
      }
      this.parts = [joined];
    }
    return this.parts[0] || new Float32Array(0);
  }

  play(from = this.position / RATE) {
    this.open();
    this.#silence();
    const at = from >= this.duration - 0.02 && this.complete ? 0 : from;
    this.playing = true;
    this.startedFrom = at;
    this.startedAt = this.context.currentTime + 0.03;
    this.next = this.startedAt;
    if (this.length) this.#schedule(this.samples(), Math.round(at * RATE));
    this.#watchEnd();
    this.dispatchEvent(new Event("state"));
  }

  pause() {
    const time = this.time;
    this.#silence();
    this.playing = false;
    this.position = time * RATE;
    this.dispatchEvent(new Event("state"));
  }

  seek(time) {
    const at = Math.min(Math.max(0, time), this.duration);
    if (this.playing) this.play(at);
    else this.position = at * RATE;
    this.dispatchEvent(new Event("state"));
  }

  #schedule(samples, offset) {
    const rest = samples.subarray(offset);
    if (!rest.length) return;
    const buffer = this.context.createBuffer(1, rest.length, RATE);
    buffer.copyToChannel(rest, 0);
    const node = this.context.createBufferSource();
    node.buffer = buffer;
    node.connect(this.context.destination);
    if (this.next < this.context.currentTime) {
      // It came too late: what follows is heard later, and the clock with it.
      const late = this.context.currentTime + 0.02 - this.next;
      this.startedAt += late;
      this.next += late;
      this.dispatchEvent(new Event("gap"));
    }
    node.start(this.next);
    this.next += rest.length / RATE;
    this.nodes.add(node);
    node.onended = () => {
      this.nodes.delete(node);
      this.#watchEnd();
    };
  }

  #watchEnd() {
    if (this.playing && this.complete && !this.nodes.size) {
      this.playing = false;
      this.position = this.length;
      this.dispatchEvent(new Event("state"));
    }
  }

  #silence() {
    for (const node of this.nodes) {
      node.onended = null;
      node.stop();
    }
    this.nodes.clear();
  }
}

export function decodePcm(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const numbers = new Int16Array(bytes.buffer, 0, bytes.length >> 1);
  return Float32Array.from(numbers, (number) => number / 32768);
}
