// Saves a draft while it is written, shows the preview, and adds a toolbar; the page works without.
const form = document.getElementById("main-form");
const saved = document.getElementById("saved");
const wide = document.querySelector("iframe.desktop");
const views = [...document.querySelectorAll("button[formtarget]")];
let view = views[0];
let waiting = 0;
let writing = form.elements.text;

async function save() {
  const answer = await fetch(form.dataset.save, { method: "POST", body: new FormData(form) }).catch(() => null);
  const isOurs = answer && !answer.redirected;
  if (isOurs && answer.ok) {
    form.elements.seen.value = (await answer.json()).seen;
    saved.textContent = saved.dataset.saved;
    view.click();
  } else if (isOurs && answer.status === 422) {
    saved.textContent = (await answer.json()).problem || saved.dataset.lost;
  } else {
    saved.textContent = isOurs && answer.status === 409 ? saved.dataset.stale : saved.dataset.lost;
  }
}

function put(area, text) {
  area.focus();
  // The one way that leaves “undo” in order; where a browser lacks it, the words are put in plainly.
  if (!document.execCommand("insertText", false, text)) {
    area.setRangeText(text, area.selectionStart, area.selectionEnd, "end");
    area.dispatchEvent(new Event("input", { bubbles: true }));
  }
}

function insert(area, text) {
  const before = area.value.slice(0, area.selectionStart);
  const gap = /^$|\n\n$/.test(before) ? "" : before.endsWith("\n") ? "\n" : "\n\n";
  const isBeforeWords = /^[^\n]/.test(area.value.slice(area.selectionEnd));
  put(area, gap + text + (isBeforeWords ? "\n\n" : ""));
}

function mark(area, { before, after, line, inside }) {
  if (line) area.selectionStart = area.value.lastIndexOf("\n", area.selectionStart - 1) + 1;
  const words = area.value.slice(area.selectionStart, area.selectionEnd) || inside;
  const start = area.selectionStart;
  put(area, before + (line ? words.replace(/^/gm, line) : words) + after);
  if (!line) area.setSelectionRange(start + before.length, start + before.length + words.length);
}

for (const area of [form.elements.text, form.elements.text_es]) {
  const tools = document.getElementById("toolbar").content.cloneNode(true);
  for (const tool of tools.querySelectorAll("button[type=button]")) {
    const text = tool.dataset[area.name];
    tool.addEventListener("click", () => (text ? insert(area, text) : mark(area, tool.dataset)));
  }
  area.before(tools);
  area.addEventListener("focus", () => { writing = area; });
}
for (const source of document.querySelectorAll(".pictures code")) {
  const button = document.getElementById("insert").content.firstElementChild.cloneNode(true);
  button.addEventListener("click", () => insert(writing, source.textContent));
  source.after(button);
}
for (const button of views) {
  button.addEventListener("click", () => {
    view = button;
    wide.hidden = button.formTarget !== wide.name;
  });
}
form.addEventListener("input", () => {
  saved.textContent = "";
  clearTimeout(waiting);
  waiting = setTimeout(save, 2000);
});
form.addEventListener("submit", (event) => {
  if (!event.submitter?.formTarget) clearTimeout(waiting);
});
// What the toolbar puts at the cursor need not be put at the end.
form.querySelector("[name=meetings]").remove();
wide.hidden = true;
if (form.elements.text.value) view.click();
