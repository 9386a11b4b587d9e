// The only door to the server: the public REST API. Errors come as `Problem`, with what to do about them.

const BASE = "/api/v1";

/** What went wrong, as the server tells it (RFC 9457): a title, the detail, and a hint that says what to do. */
export class Problem extends Error {
  constructor({ title, detail = "", hint = "", status = 0 }) {
    super(detail || title);
    Object.assign(this, { title, detail, hint, status });
  }
}

/** The address of something behind the API: `url("/memories", {text})`. Values that are empty are left out. */
export function url(path, query = {}) {
  const kept = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const search = new URLSearchParams(kept.map(([name, value]) => [name, String(value)])).toString();
  return BASE + path + (search ? `?${search}` : "");
}

/** Part of a path: an id or a name. */
export const part = (name) => encodeURIComponent(name);

export const get = (path, query, { signal } = {}) => send("GET", url(path, query), { signal });
export const post = (path, body = {}, { signal, version } = {}) =>
  send("POST", url(path), { body, signal, headers: basedOn(version) });
export const patch = (path, body, { version }) => send("PATCH", url(path), { body, headers: basedOn(version) });
export const remove = (path, query, { version } = {}) =>
  send("DELETE", url(path, query), { headers: basedOn(version) });

/** Which version of a memory was looked at: what changed meanwhile is then refused with 412. */
const basedOn = (version) => (version === undefined ? {} : { "If-Match": `"${version}"` });

/** Send a file as it is, and get what the server answers. */
export const upload = (path, query, file, type) =>
  send("POST", url(path, query), { raw: file, headers: { "Content-Type": type } });

async function send(method, address, options) {
  const response = await request(method, address, options);
  const text = await response.text();
  return text ? JSON.parse(text) : null;
}

async function request(method, address, { body, raw, headers = {}, signal } = {}) {
  const sent = body === undefined ? { ...headers } : { "Content-Type": "application/json", ...headers };
  let response;
  try {
    response = await fetch(address, {
      method,
      headers: { Accept: "application/json", ...sent },
      body: raw ?? (body === undefined ? undefined : JSON.stringify(body)),
      signal,
      credentials: "same-origin",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(SILENT);
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

async function problemOf(response) {
  let told = {};
  try {
    told = await response.json();
  } catch {
    // Not JSON, as from a proxy in between: the status has to do.
  }
  const detail = typeof told.detail === "string" ? told.detail : "";
  return new Problem({
    title: told.title || `The server answered ${response.status}`,
    detail,
    hint: told.hint || HINTS[response.status] || "",
    status: response.status,
  });
}

const SILENT = {
  title: "The server does not answer",
  detail: "Nothing came back from Aspen's server.",
  hint: "Is `aspen serve` still running? Start it again, then try once more.",
};
const HINTS = {
  401: "Open the address that `aspen serve` printed: it carries the token.",
  412: "Somebody changed it meanwhile. Look at it as it is now, then change it again.",
  429: "Wait a moment, then try again.",
  503: "The model is busy with another reply. Try again in a moment.",
};

/**
 * Read a stream of server-sent events: `onEvent(name, data)` for each. Ends with the stream; `signal` breaks it off,
 * which tells the server to stop working on it.
 */
export async function events(method, path, { body, signal, onEvent }) {
  const response = await request(method, url(path), { body, signal, headers: { Accept: "text/event-stream" } });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await read(reader);
    if (done) return;
    const blocks = (rest + value.replaceAll("\r\n", "\n")).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const event = eventOf(block);
      if (event) onEvent(event.name, event.data);
    }
  }
}

async function read(reader) {
  try {
    return await reader.read();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(SILENT);
  }
}

function eventOf(block) {
  let name = "message";
  const data = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
  }
  return data.length ? { name, data: JSON.parse(data.join("\n")) } : null;
}

const ENDED = new Set(["done", "failed", "cancelled"]);

export const ended = (job) => ENDED.has(job.state);

/** Follow a job until it ended; `onChange(job)` each time something changed. Returns its last state. */
export async function followJob(started, { signal, onChange = () => {} } = {}) {
  let job = started;
  onChange(job);
  let wait = 120;
  while (!ended(job)) {
    await new Promise((resolve) => setTimeout(resolve, wait));
    signal?.throwIfAborted();
    wait = Math.min(wait * 1.4, 1000);
    job = await get(`/jobs/${part(job.id)}`, {}, { signal });
    onChange(job);
  }
  return job;
}

/** Start a job and wait for its result; a failed job is thrown as `Problem`. */
export async function runJob(path, body, options = {}) {
  const job = await followJob(await post(path, body), options);
  if (job.state === "failed") throw new Problem(job.problem ?? { title: "The job failed", detail: job.message });
  if (job.state === "cancelled") throw new Problem({ title: "It was stopped", detail: "The job was cancelled." });
  return job.result;
}
