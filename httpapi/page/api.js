// Calls to the server that the page came from. A refusal is a Problem.

export class Problem extends Error {
  constructor(status, body) {
    super(body?.detail ?? `The service answered ${status}.`);
    this.status = status;
    this.code = body?.code ?? "";
  }
}

async function call(method, url, body) {
  const request = { method, credentials: "same-origin", headers: { Accept: "application/json" } };
  if (body !== undefined) {
    request.headers["Content-Type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(url, request);
  } catch {
    throw new Problem(0, { detail: "The service does not answer. Trying again." });
  }
  if (answer.status === 204) return null;
  const json = await answer.json().catch(() => null);
  if (!answer.ok) throw new Problem(answer.status, json);
  return json;
}

export const status = () => call("GET", "/v1/status");
export const jobs = (before) => call("GET", "/v1/jobs?limit=20" + (before ? `&before=${before}` : ""));
export const job = (id) => call("GET", `/v1/jobs/${id}`);
export const create = (spec) => call("POST", "/v1/jobs", spec);
export const cancel = (id, drain) => call("POST", `/v1/jobs/${id}/cancel`, { drain });
export const retry = (id) => call("POST", `/v1/jobs/${id}/retry`);
export const login = (token) => call("POST", "/v1/session", { token });
export const logout = () => call("DELETE", "/v1/session");
export const report = (id, format, all) => `/v1/jobs/${id}/report?format=${format}` + (all ? "&all=1" : "");

// follow keeps an event stream open. An EventSource tries again by itself after
// a broken connection, and gives up after an answer that is no stream; then it
// is for lost to say whether to go on.
export function follow({ job, idle, live, lost }) {
  const source = new EventSource("/v1/events");
  source.addEventListener("open", live);
  source.addEventListener("job", (e) => job(JSON.parse(e.data)));
  source.addEventListener("idle", idle);
  source.addEventListener("error", () => lost(source.readyState === EventSource.CLOSED));
  return () => source.close();
}
