// Requests to the server, and its errors as objects with the field at fault.

const KEY = "realtts-key";

export const key = {
  get: () => sessionStorage.getItem(KEY) || "",
  set: (value) => sessionStorage.setItem(KEY, value),
};

export class ServerError extends Error {
  constructor(status, error, retryAfter) {
    super(error.message || `The server answered ${status}.`);
    this.status = status;
    this.param = error.param || null;
    this.code = error.code || "";
    this.retryAfter = retryAfter;
  }
}

function headers(extra = {}) {
  return key.get() ? { ...extra, authorization: `Bearer ${key.get()}` } : extra;
}

async function checked(answer) {
  if (answer.ok) return answer;
  let error = {};
  try {
    error = (await answer.json()).error || {};
  } catch {
    // not of ours: a proxy's page
  }
  throw new ServerError(answer.status, error, answer.headers.get("retry-after"));
}

export async function get(path) {
  return (await checked(await fetch(path, { headers: headers() }))).json();
}

export async function post(path, body, signal) {
  const content = { "content-type": "application/json" };
  return checked(await fetch(path, { method: "POST", headers: headers(content), body: JSON.stringify(body), signal }));
}

export async function sendForm(path, form) {
  return (await checked(await fetch(path, { method: "POST", headers: headers(), body: form }))).json();
}

export async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    waiting += value;
    const parts = waiting.split("\n\n");
    waiting = parts.pop();
    for (const part of parts) if (part.startsWith("data: ")) yield JSON.parse(part.slice(6));
  }
}
