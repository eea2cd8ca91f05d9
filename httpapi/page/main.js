// Wires the page: signs in, follows the service, and shows what it says.

import * as api from "./api.js";
import { showCurrent } from "./current.js";
import { askCancel, cancelDialog, createDialog, openDetails, refreshDetails } from "./dialogs.js";
import { $, announce, closers, setText } from "./dom.js";
import { jobTable, load, newest, upsert } from "./jobs.js";
import { showStatus } from "./movers.js";

const statusEvery = 5000; // ms
let current = 0; // id of the job in the card
let unfollow = null;

function connection(state, text) {
  $("connection").dataset.state = state;
  setText($("connection"), text);
}

function problem(text) {
  $("problem").hidden = !text;
  setText($("problem"), text);
}

// guarded runs what asks the service, and says what came of it.
async function guarded(work) {
  try {
    await work();
    problem("");
  } catch (e) {
    if (e.status === 401) signIn();
    else if (e.status === 0) connection("lost", "Reconnecting…");
    else problem(e.message);
  }
}

function take(job) {
  if (upsert(job)) guarded(refreshStatus);
  refreshDetails(job);
  if (!current || (job.state !== "Queued" && (!job.finished || job.id >= current))) {
    current = job.id;
    showCurrent(job);
  }
}

async function refreshStatus() {
  const status = await api.status();
  showStatus(status);
  $("logout").hidden = !status.session;
}

// refresh brings everything up to date: at the start, and after a gap.
async function refresh() {
  await refreshStatus();
  $("login").hidden = true;
  $("content").hidden = false;
  const jobs = await load();
  const running = jobs.filter((j) => !j.finished && j.state !== "Queued").at(-1) ?? jobs.find((j) => j.id === current) ?? newest()[0];
  if (running) take(running);
  else showCurrent(null);
}

function start() {
  unfollow?.();
  unfollow = api.follow({
    job: take,
    idle: () => guarded(async () => (await load()).slice(0, 1).forEach(take)),
    live: () => {
      connection("live", "Live");
      guarded(refresh);
    },
    lost: (closed) => {
      connection("lost", "Reconnecting…");
      if (closed) setTimeout(() => guarded(reconnect), 1000);
    },
  });
}

// reconnect waits for the service and follows it: at the start, and after an
// answer that was no stream, which a proxy gives, or a session that has ended.
async function reconnect() {
  try {
    await api.status();
  } catch (e) {
    if (e.status === 401) throw e;
    connection("lost", "Reconnecting…");
    setTimeout(() => guarded(reconnect), 1000);
    return;
  }
  start();
}

function signIn() {
  unfollow?.();
  unfollow = null;
  connection("loading", "Signed out");
  $("content").hidden = $("logout").hidden = true;
  $("login").hidden = false;
  $("token").value = "";
  $("token").focus();
}

$("login-form").addEventListener("submit", async (e) => {
  e.preventDefault();
  setText($("login-error"), "");
  try {
    await api.login($("token").value);
    $("token").value = "";
    start();
    announce("Signed in");
    $("main").focus();
  } catch (e) {
    setText($("login-error"), e.message);
    $("token").focus();
  }
});

$("logout").addEventListener("click", () => guarded(async () => (await api.logout(), signIn())));
$("cancel-current").addEventListener("click", () => askCancel(current));
$("current-details").addEventListener("click", () => guarded(() => openDetails(current)));
closers();
createDialog((job) => (take(job), announce(`Job ${job.id} created`)));
cancelDialog(take);
jobTable({
  details: (id) => guarded(() => openDetails(id)),
  cancel: askCancel,
  retry: (id) => guarded(async () => take(await api.retry(id))),
});
setInterval(() => {
  if (unfollow && !document.hidden) guarded(refreshStatus);
}, statusEvery);
guarded(reconnect);
