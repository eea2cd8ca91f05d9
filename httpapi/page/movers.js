// The coordinator and the movers at a glance.

import { $, element, facts, pill, rows, setText } from "./dom.js";
import * as say from "./format.js";

const total = (operations) => operations.archive + operations.restore + operations.remove;

export function showStatus(status) {
  setText($("where"), `${status.fileSystem} at ${status.mount}`);
  const { jobRequests, running, waiting } = status.coordinator;
  facts($("coordinator"), [
    ["Requests out", say.count(jobRequests), "of the current job, at the coordinator"],
    ["Running", status.movers.length ? say.count(running) : "", "actions at the movers"],
    ["Waiting", status.movers.length ? say.count(waiting) : "", "for a slot at the movers"],
  ]);
  $("movers").hidden = status.movers.length === 0;
  $("movers-empty").hidden = status.movers.length !== 0;
  rows($("movers"), status.movers, (m) => m.url, cells);
}

function cells(m) {
  return [
    new URL(m.url, location.href).host,
    (cell) => {
      const e = cell.firstElementChild ?? cell.appendChild(element("span", { className: "pill" }));
      pill(e, m.reachable ? "Answers" : "Unreachable", m.reachable ? "good" : "bad");
      e.title = m.error ?? m.version;
    },
    ...(m.reachable
      ? [total(m.running), total(m.waiting), m.succeeded, m.failed].map(say.count).concat([m.bytesArchived, m.bytesRestored].map(say.bytes))
      : ["", "", "", "", "", ""]),
  ];
}
