// The card of the job that runs, or of the one that ran last.

import { $, announce, facts, pill, setText } from "./dom.js";
import * as say from "./format.js";

export function showCurrent(job) {
  $("current-none").hidden = Boolean(job);
  $("current-job").hidden = !job;
  $("cancel-current").hidden = !job?.canCancel;
  if (!job) {
    $("current-state").hidden = true;
    setText($("current-title"), "Current job");
    return;
  }
  setText($("current-title"), `${job.finished ? "Last job" : "Current job"}: ${job.id}`);
  pill($("current-state"), say.state(job), say.tone(job));
  setText($("current-path"), say.path(job));
  showProgress(job);
  $("current-waits").hidden = !job.waitsFor && !job.errorMessage;
  setText($("current-waits"), job.waitsFor ? `Waiting: ${say.safe(job.waitsFor)}` : say.safe(job.errorMessage ?? ""));
  facts($("current-facts"), progressFacts(job));
  announceJob(job);
}

function showProgress(job) {
  const bar = $("current-bar");
  if (job.state === "Queued") bar.removeAttribute("value");
  else bar.value = job.percentComplete;
  setText($("current-percent"), job.state === "Queued" ? "" : `${job.percentComplete} %`);
}

export function progressFacts(job) {
  const c = job.counters;
  const all = say.toGo(c);
  const verb = job.dryRun ? "Would export" : "Exported";
  const done = job.dryRun ? all : { files: c.filesExported, bytes: c.bytesExported };
  return [
    [`${verb} files`, say.count(done.files), `of ${say.count(all.files)}${job.state === "FSScanInProgress" ? " so far" : ""}`],
    [`${verb} data`, say.bytes(done.bytes), `of ${say.bytes(all.bytes)}`],
    ["Rate", job.dryRun ? "" : say.rate(job), `${say.bytes(job.bytesPerSecond)}/s`],
    [job.finished ? "Took" : "Time left", job.finished ? say.took(job) : job.etaSeconds ? say.duration(job.etaSeconds) : "not known yet"],
    ["Skipped", say.count(c.filesSkipped), say.skipped(c)],
    ["Failed", say.count(c.filesFailed), c.filesChangedDuringCopy ? `${say.count(c.filesChangedDuringCopy)} changed during the copy` : "", c.filesFailed ? "bad" : ""],
    ["Left", c.filesLeft ? say.count(c.filesLeft) : "", "not archived when it was cancelled"],
  ];
}

// announceJob tells a screen reader of what matters: states, and each quarter.
function announceJob(job) {
  const progress = job.state === "InProgress" ? `, ${Math.floor(job.percentComplete / 25) * 25} percent` : "";
  const failed = job.finished && job.counters.filesFailed ? `, ${say.files(job.counters.filesFailed)} failed` : "";
  announce(`Job ${job.id}: ${say.state(job)}${progress}${failed}${job.waitsFor ? `. Waiting: ${job.waitsFor}` : ""}`);
}
