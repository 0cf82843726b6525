// The request of the form, as programs write it.

const quoted = (value) => JSON.stringify(value);

function pythonOf(value) {
  if (value === true) return "True";
  if (value === false) return "False";
  if (value === null) return "None";
  if (Array.isArray(value)) return `[${value.map(pythonOf).join(", ")}]`;
  if (typeof value === "object") return `{${Object.entries(value).map(([k, v]) => `${quoted(k)}: ${pythonOf(v)}`).join(", ")}}`;
  return quoted(value);
}

const shell = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

export function codeOf(kind, body, origin, hasKey) {
  const { ref_audio: recording, ...rest } = body;
  if (kind === "curl") {
    const sent = { ...rest, response_format: "wav", ...(recording ? { ref_audio: "BASE64 OF YOUR FILE" } : {}) };
    return `curl ${origin}/v1/audio/speech \\\n  -H 'Content-Type: application/json' \\\n${hasKey ? "  -H 'Authorization: Bearer YOUR KEY' \\\n" : ""}  -d ${shell(JSON.stringify(sent, null, 2))} \\\n  --output speech.wav`;
  }
  if (kind === "openai") {
    const { model, voice, input, speed, instructions, ...ours } = rest;
    const lines = [`model=${pythonOf(model)}`, `voice=${pythonOf(voice || "alloy")}`, `input=${pythonOf(input)}`];
    if (speed !== undefined) lines.push(`speed=${speed}`);
    if (instructions) lines.push(`instructions=${pythonOf(instructions)}`);
    lines.push('response_format="wav"');
    if (recording) ours.ref_audio = "BASE64 OF YOUR FILE";
    if (Object.keys(ours).length) lines.push(`extra_body=${pythonOf(ours)}`);
    return `from openai import OpenAI\n\nclient = OpenAI(base_url=${quoted(`${origin}/v1`)}, api_key="${hasKey ? "YOUR KEY" : "none"}")\nwith client.audio.speech.with_streaming_response.create(\n    ${lines.join(",\n    ")},\n) as answer:\n    answer.stream_to_file("speech.wav")`;
  }
  const { model, input, options = {}, ...words } = rest;
  const named = { ...words, ...options };
  if (recording) named.voice = "recording.wav";
  const lines = Object.entries(named).map(([name, value]) => `${name}=${pythonOf(value)}`);
  return `from realtts import RealProvider\n\nwith RealProvider(${quoted(model)}) as tts:\n    speech = tts.generate(\n        ${[pythonOf(input), ...lines].join(",\n        ")},\n    )\n    speech.save("speech.wav")`;
}
