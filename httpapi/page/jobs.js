// The table of jobs.

import * as api from "./api.js";
import { $, element, pill, rows } from "./dom.js";
import * as say from "./format.js";

const known = new Map(); // id to job
let next = 0; // where the older ones begin
let actions; // what the buttons of a row do

export function jobTable(handlers) {
  actions = handlers;
  $("older").addEventListener("click", () => load(next));
}

// load gets the newest jobs, or those before an id.
export async function load(before) {
  const page = await api.jobs(before);
  if (before || known.size === 0) next = page.nextBefore ?? 0;
  page.jobs.forEach((job) => known.set(job.id, job));
  show();
  return page.jobs;
}

export function upsert(job) {
  const before = known.get(job.id);
  known.set(job.id, job);
  show();
  return before?.state !== job.state;
}

export const newest = () => [...known.values()].sort((a, b) => b.id - a.id);

function show() {
  const list = newest();
  $("jobs").hidden = list.length === 0;
  $("jobs-empty").hidden = list.length !== 0;
  $("older").hidden = !next;
  rows($("jobs"), list, (job) => job.id, cells);
}

function cells(job) {
  const c = job.counters;
  return [
    (cell) => button(cell, "details", `Job ${job.id}`, `Details of job ${job.id}`, () => actions.details(job.id)),
    say.path(job),
    (cell) => pill(cell.firstElementChild ?? cell.appendChild(element("span", { className: "pill" })), say.state(job), say.tone(job)),
    say.time(job.startedTime),
    say.took(job),
    job.dryRun ? "" : say.count(c.filesExported),
    say.count(c.filesFailed),
    say.bytes(job.dryRun ? say.toGo(c).bytes : c.bytesExported),
    (cell) => {
      offer(cell, "cancel", job.canCancel, "Cancel", `Cancel job ${job.id}`, () => actions.cancel(job.id));
      offer(cell, "retry", job.canRetry, "Retry failures", `Retry the failures of job ${job.id}`, () => actions.retry(job.id));
    },
  ];
}

function offer(cell, name, wanted, text, label, act) {
  if (wanted) button(cell, name, text, label, act);
  else cell.querySelector(`[name=${name}]`)?.remove();
}

function button(cell, name, text, label, act) {
  if (cell.querySelector(`[name=${name}]`)) return;
  const b = element("button", { type: "button", className: "link", name, ariaLabel: label }, text);
  b.addEventListener("click", act);
  cell.append(b);
}
