// Small help with the document. Text goes in as text, never as markup.

export const $ = (id) => document.getElementById(id);

export function element(tag, properties, ...children) {
  const e = Object.assign(document.createElement(tag), properties);
  e.append(...children);
  return e;
}

// setText leaves what is right alone: a screen reader would say it again.
export function setText(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

export function facts(list, pairs) {
  const want = pairs.filter(([, value]) => value !== "");
  while (list.children.length > want.length) list.lastElementChild.remove();
  want.forEach(([name, value, note, tone], i) => {
    const item = list.children[i] ?? list.appendChild(element("div", {}, element("dt"), element("dd", {}, element("span"), element("small"))));
    const [dt, dd] = item.children;
    setText(dt, name);
    setText(dd.firstChild, value);
    setText(dd.lastChild, note ?? "");
    dd.dataset.tone = tone ?? "";
  });
}

export function pill(e, text, tone) {
  setText(e, text);
  e.dataset.tone = tone;
  e.hidden = false;
}

// rows keeps a table's body in step with a list: a row that stays is the same
// element, so that what has the focus keeps it. The roles are those that a row
// and a cell have by themselves until the style sheet makes blocks of them.
export function rows(table, list, key, cells) {
  const labels = [...table.tHead.rows[0].cells].map((th) => th.textContent);
  const body = table.tBodies[0];
  const old = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  list.forEach((item, i) => {
    const id = String(key(item));
    const row = old.get(id) ?? element("tr", { role: "row" });
    row.dataset.key = id;
    old.delete(id);
    cells(item).forEach((fill, column) => {
      const cell = row.cells[column] ?? row.appendChild(element("td", { role: "cell" }));
      cell.dataset.label = labels[column];
      cell.className = table.tHead.rows[0].cells[column].className;
      typeof fill === "function" ? fill(cell) : setText(cell, fill);
    });
    if (body.rows[i] !== row) body.insertBefore(row, body.rows[i] ?? null);
  });
  for (const row of old.values()) row.remove();
}

let said = "";
export function announce(text) {
  if (text === said) return;
  said = text;
  $("announce").textContent = text;
}

// open shows a dialog. It gives the focus back to what had it.
export function open(dialog) {
  const before = document.activeElement;
  dialog.addEventListener("close", () => before?.isConnected && before.focus(), { once: true });
  dialog.showModal();
}

export function closers() {
  for (const button of document.querySelectorAll("[data-close]")) {
    button.addEventListener("click", () => button.closest("dialog").close());
  }
}
