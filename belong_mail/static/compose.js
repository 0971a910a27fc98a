// Saves a draft while it is written, shows the preview, and adds a toolbar; the page works without.
const form = document.getElementById("main-form");
const saved = document.getElementById("saved");
const preview = document.querySelector('button[formtarget="preview"]');
const words = document.documentElement.lang === "es"
  ? { saved: "Guardado.", lost: "No se ha guardado: revisa los campos o vuelve a abrir la página." }
  : { saved: "Saved.", lost: "Not saved: look at the fields, or open the page again." };
let waiting = 0;

async function save() {
  const answer = await fetch(form.dataset.save, { method: "POST", body: new FormData(form) });
  if (answer.ok && !answer.redirected) {
    form.elements.seen.value = (await answer.json()).seen;
    saved.textContent = words.saved;
    preview.click();
  } else {
    saved.textContent = words.lost;
  }
}

form.addEventListener("input", () => {
  saved.textContent = "";
  clearTimeout(waiting);
  waiting = setTimeout(save, 2000);
});
form.addEventListener("submit", (event) => {
  if (!event.submitter?.formTarget) clearTimeout(waiting);
});
if (form.elements.text.value) preview.click();
