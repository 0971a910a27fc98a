// Leads to the form that was sent, in which most browsers keep what was typed.
for (const link of document.querySelectorAll("[data-back]")) {
  link.hidden = false;
  link.addEventListener("click", (event) => {
    event.preventDefault();
    history.back();
  });
}
