// Records the microphone as samples, checks them, and makes a WAV file of them.

export class Recorder {
  async start(onLevel) {
    this.stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
    this.context = new AudioContext();
    await this.context.audioWorklet.addModule("/studio/recorder-worklet.js");
    this.parts = [];
    const node = new AudioWorkletNode(this.context, "recorder");
    node.port.onmessage = ({ data }) => {
      this.parts.push(data);
      onLevel(Math.max(...data.map(Math.abs)), this.seconds);
    };
    this.context.createMediaStreamSource(this.stream).connect(node).connect(this.context.destination);
  }

  get seconds() {
    return this.parts.reduce((sum, part) => sum + part.length, 0) / this.context.sampleRate;
  }

  async stop() {
    for (const track of this.stream.getTracks()) track.stop();
    const samples = new Float32Array(this.parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of this.parts) {
      samples.set(part, at);
      at += part.length;
    }
    const rate = this.context.sampleRate;
    await this.context.close();
    return { samples, rate };
  }
}

export async function readFile(file) {
  const context = new OfflineAudioContext(1, 1, 24000);
  const buffer = await context.decodeAudioData(await file.arrayBuffer());
  const samples = new Float32Array(buffer.length);
  for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
    const one = buffer.getChannelData(channel);
    for (let index = 0; index < samples.length; index++) samples[index] += one[index] / buffer.numberOfChannels;
  }
  return { samples, rate: buffer.sampleRate };
}

export function faultOf({ samples, rate }, [shortest, longest]) {
  const seconds = samples.length / rate;
  let peak = 0;
  let clipped = 0;
  for (const sample of samples) {
    const loud = Math.abs(sample);
    if (loud > peak) peak = loud;
    if (loud >= 0.999) clipped++;
  }
  if (seconds < shortest) return `It lasts ${seconds.toFixed(1)} s; ${shortest} s are the least.`;
  if (seconds > longest) return `It lasts ${seconds.toFixed(1)} s; ${longest} s are the most.`;
  if (peak < 0.003) return "It is silent. Check the microphone.";
  if (clipped > samples.length / 100) return "It is too loud and distorted. Record it with less gain.";
  return null;
}

export function wavOf({ samples, rate }) {
  const view = new DataView(new ArrayBuffer(44 + samples.length * 2));
  const write = (at, text) => [...text].forEach((letter, index) => view.setUint8(at + index, letter.charCodeAt(0)));
  write(0, "RIFF");
  view.setUint32(4, 36 + samples.length * 2, true);
  write(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, rate * 2, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  write(36, "data");
  view.setUint32(40, samples.length * 2, true);
  samples.forEach((sample, index) => {
    view.setInt16(44 + index * 2, Math.round(Math.max(-1, Math.min(1, sample)) * 32767), true);
  });
  return new Blob([view], { type: "audio/wav" });
}

export async function base64Of(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}
