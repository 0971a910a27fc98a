// Shows a button that copies the words of an element, where the browser can.
for (const button of document.querySelectorAll("[data-copy]")) {
  button.parentElement.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    const said = button.nextElementSibling;
    said.textContent = said.dataset.copied;
  });
}
