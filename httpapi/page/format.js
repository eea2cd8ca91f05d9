// How values are said. Nothing here touches the document.

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const thisYear = new Intl.DateTimeFormat("en", { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hour12: false });
const anyYear = new Intl.DateTimeFormat("en", { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hour12: false });

export const count = (n) => whole.format(n);
export const files = (n) => `${count(n)} ${n === 1 ? "file" : "files"}`;

export function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) {
    n /= 1024;
    unit++;
  }
  return `${short.format(n)} ${units[unit]}`;
}

export function time(text) {
  if (!text) return "";
  const when = new Date(text);
  return (when.getFullYear() === new Date().getFullYear() ? thisYear : anyYear).format(when);
}

export function duration(seconds) {
  seconds = Math.max(0, Math.round(seconds));
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  if (h > 0) return `${count(h)} h ${m} min`;
  if (m > 0) return `${m} min ${s} s`;
  return `${s} s`;
}

export const rate = (job) => `${short.format(job.filesPerSecond)} files/s`;

export function took(job) {
  if (!job.startedTime) return "";
  const end = job.finishedTime ? new Date(job.finishedTime) : new Date();
  return duration((end - new Date(job.startedTime)) / 1000);
}

// Names of files are bytes. Control characters would move the text about, and
// marks of direction could make one name look like another.
export const safe = (text) =>
  text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (c) => "\\u{" + c.codePointAt(0).toString(16) + "}");

export function path(job) {
  const what = job.filesGiven ? `a list of ${files(job.filesGiven)}` : job.prefixes.map(safe).join(", ") || "/";
  const marks = [job.dryRun ? "preview" : "", job.retryOf ? `retry of job ${job.retryOf}` : ""].filter(Boolean);
  return marks.length ? `${what} (${marks.join(", ")})` : what;
}

const words = {
  Queued: ["Queued", ""],
  FSScanInProgress: ["Scanning", "active"],
  InProgress: ["In progress", "active"],
  Cancelling: ["Cancelling", "warn"],
  Canceled: ["Canceled", ""],
  Completed: ["Completed", "good"],
  CompletedPartial: ["Partly completed", "warn"],
  Failed: ["Failed", "bad"],
};

export const state = (job) => words[job.state]?.[0] ?? job.state;
export const tone = (job) => words[job.state]?.[1] ?? "";

const reasons = {
  archived: "archived already",
  released: "released (only in Blob)",
  neverArchive: "marked never to archive",
  notRegular: "not regular files",
  vanished: "deleted meanwhile",
};

export const skipped = (counters) =>
  Object.entries(counters.skippedBy)
    .filter(([, n]) => n > 0)
    .map(([why, n]) => `${count(n)} ${reasons[why] ?? why}`)
    .join(", ");

// toGo is what a job has to export, as far as it has looked.
export const toGo = (c) => ({ files: c.filesFound - c.filesSkipped, bytes: c.bytesFound - c.bytesSkipped });
