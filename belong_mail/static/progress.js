// Keeps a page of progress fresh; without it the page is opened again by hand.
const words = document.getElementById("words");

async function look() {
  const answer = await fetch(location.href);
  if (!answer.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const changed = stateOf(page) === stateOf(document) ? ["progress", "results"] : ["standing"];
  changed.forEach((id) => renew(page, id));
  const { textContent = "", className = "" } = page.getElementById("words") ?? {};
  if (words.textContent !== textContent) Object.assign(words, { textContent, className });
}

function stateOf(page) {
  return page.getElementById("standing").dataset.state;
}

// Takes only what has changed, so that nobody who reads on is thrown back to its beginning; who
// stood on a button that is gone comes to the words.
function renew(page, id) {
  const [shown, fresh] = [document, page].map((each) => each.getElementById(id));
  if (!shown || !fresh || shown.isEqualNode(fresh)) return;
  const hadFocus = shown.contains(document.activeElement);
  shown.replaceWith(fresh);
  if (hadFocus) words.focus();
}

// A count of a large issue costs the server more: then we ask less often.
async function watch() {
  const began = performance.now();
  if (!document.hidden) await look().catch(() => {});
  if (["scheduled", "sending"].includes(stateOf(document))) setTimeout(watch, Math.max(2000, 20 * (performance.now() - began)));
}

setTimeout(watch, 2000);
