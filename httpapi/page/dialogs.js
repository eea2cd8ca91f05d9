// The dialogs: create, cancel, details.

import * as api from "./api.js";
import { progressFacts } from "./current.js";
import { $, element, facts, open, pill, rows, setText } from "./dom.js";
import * as say from "./format.js";

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// busy keeps a form from being sent twice, and says what went wrong in it.
async function busy(form, error, work) {
  const buttons = form.querySelectorAll("button:not([data-close])");
  buttons.forEach((b) => (b.disabled = true));
  setText(error, "");
  try {
    await work();
  } catch (problem) {
    setText(error, problem.message);
  }
  buttons.forEach((b) => (b.disabled = false));
}

export function createDialog(created) {
  const dialog = $("create");
  const spec = (more) => ({ filesystemPath: $("path").value, ...more });
  $("create-open").addEventListener("click", () => {
    setText($("create-error"), "");
    setText($("preview"), "");
    open(dialog);
    $("path").select();
  });
  $("path").addEventListener("input", () => setText($("preview"), ""));
  $("preview-run").addEventListener("click", () => busy($("create-form"), $("create-error"), () => preview(spec({ dryRun: true, ifBusy: "fail" }))));
  $("create-form").addEventListener("submit", (e) => {
    e.preventDefault();
    busy(e.target, $("create-error"), async () => {
      const job = await api.create(spec());
      dialog.close();
      created(job);
    });
  });
}

// preview is a job that submits nothing.
async function preview(spec) {
  setText($("preview"), "Looking…");
  try {
    let job = await api.create(spec);
    while (!job.finished && $("create").open) {
      await pause(400);
      job = await api.job(job.id);
      setText($("preview"), `Looking… ${say.files(job.counters.filesFound)} seen.`);
    }
    setText($("preview"), summary(job));
  } catch (problem) {
    setText($("preview"), "");
    throw problem;
  }
}

function summary(job) {
  if (job.state !== "Completed") return `${say.state(job)}${job.errorMessage ? `: ${say.safe(job.errorMessage)}` : ""}`;
  const all = say.toGo(job.counters);
  const why = say.skipped(job.counters);
  return `${say.files(all.files)}, ${say.bytes(all.bytes)}, would be exported.` + (why ? ` Skipped: ${why}.` : "");
}

let cancelling = 0;

export function cancelDialog(changed) {
  $("cancel-form").addEventListener("submit", (e) => {
    e.preventDefault();
    busy(e.target, $("cancel-error"), async () => {
      changed(await api.cancel(cancelling, $("drain").checked));
      $("cancel").close();
    });
  });
}

export function askCancel(id) {
  cancelling = id;
  setText($("cancel-title"), `Cancel job ${id}?`);
  setText($("cancel-error"), "");
  $("drain").checked = false;
  open($("cancel"));
}

let shown = 0;

export async function openDetails(id) {
  const job = await api.job(id);
  shown = id;
  refreshDetails(job);
  open($("details"));
  $("details-title").focus();
}

export function refreshDetails(job) {
  if (job.id !== shown) return;
  setText($("details-title"), `Job ${job.id}`);
  pill($("details-state"), say.state(job), say.tone(job));
  setText($("details-path"), say.path(job));
  $("details-error").hidden = !job.errorMessage;
  setText($("details-error"), say.safe(`${job.errorCode ?? ""}: ${job.errorMessage ?? ""}`));
  facts($("details-facts"), [
    ["Created", say.time(job.createdTime)],
    ["Started", say.time(job.startedTime)],
    ["Ended", say.time(job.finishedTime)],
    ["Files found", say.count(job.counters.filesFound)],
    ...progressFacts(job),
    ["Retried", job.counters.filesRetried ? say.count(job.counters.filesRetried) : "", "requests made again"],
  ]);
  showFailures(job);
}

function showFailures(job) {
  const list = job.firstErrors ?? [];
  $("failures").hidden = list.length === 0;
  $("failures-none").hidden = list.length !== 0;
  rows($("failures"), list, (f) => f.filePath, (f) => [
    say.safe(f.filePath),
    f.errorCode ?? "",
    say.safe(f.message ?? ""),
  ]);
  const more = job.counters.filesFailed - list.length;
  setText($("failures-more"), more > 0 ? `and ${say.files(more)} more, in the report.` : "");
  const kinds = [
    [job.counters.filesFailed > 0, "Failures", false],
    [job.reportAll || job.dryRun, "Every file", true],
  ].filter(([there]) => there);
  $("downloads").replaceChildren(
    ...kinds.flatMap(([, name, all]) =>
      ["csv", "jsonl"].map((f) => element("a", { href: api.report(job.id, f, all), download: "" }, `${name} as ${f.toUpperCase()}`)),
    ),
  );
}
