// Saves a draft while it is written, shows the preview, and adds a toolbar; the page works without.
import { autosave } from "./autosave.js";
import { markdownOf } from "./paste.js";
import { pictureAdder } from "./pictures.js";

const form = document.getElementById("main-form");
const views = [...document.querySelectorAll("button[formtarget]")];
const byId = (id) => document.getElementById(id);
let view;
let writing = form.elements.text;
const pictures = pictureAdder(form, byId("adding"), insert);

function choose(button) {
  view = button;
  for (const each of views) each.setAttribute("aria-pressed", each === button);
}

// Makes the frame anew: what an old one opens would be one more step for “back”, and while it
// loads, Firefox sends nothing else of the form.
function clearPreview() {
  const old = document.querySelector("iframe[name]");
  const fresh = old.cloneNode();
  fresh.removeAttribute("src");
  old.replaceWith(fresh);
}

// What is saved has no mistake left.
function onSaved() {
  for (const told of document.querySelectorAll(".problem, .error")) told.remove();
  for (const field of form.querySelectorAll(".wrong")) field.classList.remove("wrong");
  for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  delete form.dataset.unsaved;
  preview();
}

function preview() {
  view.click();
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

// Puts marks around the chosen words, or takes them away; without words the cursor stands between.
function mark(area, { before, after, line }) {
  if (line) {
    area.selectionStart = area.value.lastIndexOf("\n", area.selectionStart - 1) + 1;
    put(area, area.value.slice(area.selectionStart, area.selectionEnd).replace(/^/gm, line));
    return;
  }
  const [start, end] = [area.selectionStart, area.selectionEnd];
  const words = area.value.slice(start, end);
  const isMarked = area.value.slice(0, start).endsWith(before) && area.value.startsWith(after, end);
  if (isMarked) {
    area.setSelectionRange(start - before.length, end + after.length);
    put(area, words);
    area.setSelectionRange(start - before.length, end - before.length);
    return;
  }
  put(area, before + words + after);
  const inside = start + before.length;
  const address = after.indexOf("https://");
  // Words that become a link need its address next.
  const at = words && address >= 0 ? inside + words.length + address + "https://".length : inside;
  area.setSelectionRange(at, words && address < 0 ? inside + words.length : at);
}

function paste(event) {
  const board = event.clipboardData;
  const html = board?.getData("text/html");
  const found = html ? markdownOf(html) : null;
  // Word and Excel put their words there as a picture too.
  const alone = board?.getData("text/plain") ? [] : [...(board?.files ?? [])];
  const files = alone.length ? alone : found?.files ?? [];
  const leftOut = byId("left-out");
  const told = alone.length ? [] : ["pictures", "tables"].filter((kind) => found?.[kind]);
  leftOut.textContent = told.map((kind) => leftOut.dataset[kind]).join(" ");
  event.target.addEventListener("keydown", () => { leftOut.textContent = ""; }, { once: true });
  if (alone.length || found?.text) event.preventDefault();
  if (!alone.length && found?.text) {
    (found.isInline ? put : insert)(event.target, found.text);
    // Chromium shows the place where it ended only to someone who comes back to the field.
    event.target.blur();
    event.target.focus();
  }
  // They come later, behind the words.
  if (files.length) pictures.add(event.target, files);
}

for (const area of form.querySelectorAll("textarea")) {
  const tools = document.getElementById("toolbar").content.cloneNode(true);
  const byKey = {};
  for (const tool of tools.querySelectorAll("button:not([data-picture])")) {
    const text = tool.dataset[area.name];
    const act = () => (text ? insert(area, text) : mark(area, tool.dataset));
    tool.addEventListener("click", act);
    if (tool.dataset.key) byKey[tool.dataset.key] = act;
  }
  area.addEventListener("keydown", (event) => {
    const act = byKey[event.key.toLowerCase()];
    if (!act || event.ctrlKey === event.metaKey || event.altKey || event.shiftKey) return;
    event.preventDefault();
    act();
  });
  tools.querySelector("[data-picture]").addEventListener("click", () => pictures.choose(area));
  area.addEventListener("paste", paste);
  area.before(tools);
  // The tools show what it says; it still describes the field to anyone who cannot see them.
  const hint = byId(`${area.id}-hint`);
  if (hint) hint.hidden = true;
  area.addEventListener("focus", () => { writing = area; });
}
// Wherever on the page files are dropped: else the browser would leave it to show them.
addEventListener("dragover", (event) => { if (event.dataTransfer.types.includes("Files")) event.preventDefault(); });
addEventListener("drop", (event) => {
  if (!event.dataTransfer.files.length) return;
  event.preventDefault();
  pictures.add(event.target.closest?.("textarea") ?? writing, [...event.dataTransfer.files]);
});
for (const source of document.querySelectorAll(".pictures code")) {
  const button = document.getElementById("insert").content.firstElementChild.cloneNode(true);
  button.addEventListener("click", () => insert(writing, source.textContent));
  source.replaceWith(button);
}
for (const button of views) {
  button.addEventListener("click", () => {
    choose(button);
    clearPreview();
  });
}
// Shows the language of the field that somebody writes in.
form.addEventListener("focusin", ({ target }) => {
  if (!target.matches("textarea, input") || target.lang === view.dataset.language) return;
  views.find((each) => each.dataset.language === target.lang).click();
});
form.classList.add("saves-itself");
autosave(form, { saved: byId("saved"), notSaved: byId("not-saved"), offer: byId("kept"), onSaved, onRefused: preview });
// What the toolbar puts at the cursor need not be put at the end, or on a page of its own.
for (const each of form.querySelectorAll("[name=meetings], [name=pictures]")) each.remove();
form.addEventListener("submit", (event) => {
  if (!event.defaultPrevented && !event.submitter?.formTarget) clearPreview();
});
choose(views[0]);
// The frame shows what is stored.
if ("unsaved" in form.dataset) preview();
