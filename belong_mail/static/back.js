// Leads to the form that was sent, in which most browsers keep what was typed; its link opens it anew.
for (const link of document.querySelectorAll("[data-back]")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    history.back();
  });
}
